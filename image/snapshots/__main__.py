"""The way in: what the words ask for, and the answer as one line of JSON."""

import json
import os
import signal
import sys

from snapshots.keep import Owner
from snapshots.take import Failed, take

USAGE = 'snapshot take REPOS PATH INTO HOST_ID UID GID ADMINS'


def run():
    word, *words = sys.argv[1:]
    if word != 'take' or len(words) != 7:
        sys.exit(USAGE)
    # The kernel sends it to whoever has a lease on a file that somebody else opens for writing. By default it ends the process.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    # Everything here is root's alone, until it is given a mode of its own.
    os.umask(0o077)
    repos, path, into, host_id, *numbers = words
    try:
        told = take(repos, path, into, host_id, Owner(*map(int, numbers)))
    except Failed as error:
        told = {'failed': error.code, **error.found}
    except OSError as error:
        told = {'failed': 'system', 'errno': error.errno, 'said': error.strerror}
    print(json.dumps(told), flush=True)
