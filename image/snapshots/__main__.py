"""The way in: what the words ask for, and the answer as one line of JSON."""

import json
import os
import sys

from snapshots.take import Failed, take


def run():
    word, *rest = sys.argv[1:]
    if word != 'take' or len(rest) != 3:
        sys.exit('snapshot: take REPOSITORY INTO HOST_ID')
    # Everything here is root's alone, until it is given a mode of its own.
    os.umask(0o077)
    try:
        told = take(*rest)
    except Failed as error:
        told = {'failed': error.code, **error.found}
    except OSError as error:
        told = {'failed': 'system', 'errno': error.errno, 'said': error.strerror}
    print(json.dumps(told), flush=True)
