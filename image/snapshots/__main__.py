"""The way in: what the words ask for, and each answer as one line of JSON."""

import errno
import json
import os
import signal
import sys

from snapshots.changes import changes
from snapshots.exchange import exchange
from snapshots.keep import Owner
from snapshots.put_back import prepare, remove
from snapshots.take import Failed, take
from snapshots.transactions import listed, look

USAGE = """snapshot take REPOS PATH INTO HOST_ID UID GID ADMINS
snapshot prepare SNAPSHOT ABOVE UID GID ADMINS undo|read|TRANSACTION
snapshot exchange REPOS PATH ABOVE SNAPSHOTS HOST_ID UID GID ADMINS SECONDS KEEP_KEY
snapshot remove ABOVE all|unused
snapshot changes OLDER NEWER KNOWN
snapshot transactions SNAPSHOT MOST
snapshot transaction SNAPSHOT NUMBER"""


def run():
    # The kernel sends it to whoever has a lease on a file that somebody else opens for writing. By default it ends the process.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    # Everything here is root's alone, until it is given a mode of its own.
    os.umask(0o077)
    try:
        told = do(*sys.argv[1:])
    except Failed as error:
        told = {'failed': error.code, **error.found}
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        told = {'failed': 'no-space' if is_full else 'system', 'errno': error.errno, 'said': error.strerror}
    print(json.dumps(told), flush=True)


def do(*words: str) -> dict[str, object]:
    match words:
        case 'take', repos, path, into, host_id, uid, gid, admins:
            return take(repos, path, into, host_id, owner(uid, gid, admins))
        case 'prepare', snapshot, above, uid, gid, admins, ('undo' | 'read') as what_for:
            return prepare(snapshot, above, owner(uid, gid, admins), only_read=what_for == 'read')
        case 'prepare', snapshot, above, uid, gid, admins, transaction:
            return prepare(snapshot, above, owner(uid, gid, admins), transaction=int(transaction))
        case 'exchange', repos, path, above, snapshots, host_id, uid, gid, admins, seconds, keep_key:
            return exchange(repos, path, above, snapshots, host_id, owner(uid, gid, admins), float(seconds), keep_key == 'yes', may_go_on)
        case 'remove', above, ('all' | 'unused') as which:
            return remove(above, which == 'unused')
        case 'changes', older, newer, known:
            return changes(older, newer, int(known))
        case 'transactions', snapshot, most:
            return listed(snapshot, int(most))
        case 'transaction', snapshot, number:
            return look(snapshot, int(number))
        case _:
            sys.exit(USAGE)


def owner(*numbers: str) -> Owner:
    return Owner(*map(int, numbers))


def may_go_on() -> bool:
    """Says that the lock is held, and waits for the word. Whoever asked may be gone: then there is none."""
    print(json.dumps({'locked': True}), flush=True)
    return sys.stdin.readline() == 'go\n'
