"""The one step in which another tree takes a repository's place. Before it the repository is the former one, and after it the new one, whole: also
if this process is killed."""

import contextlib
import fcntl
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable

from snapshots.carry import NoSuchKey, carry, drop_former_keys
from snapshots.folders import FOLDER, PLAIN, Changed, Odd, opened
from snapshots.keep import Owner
from snapshots.lock import NAME, Lock
from snapshots.put_back import LOCK, TREE, UNUSED, mark_unused
from snapshots.rename import EXCHANGE, NOREPLACE, rename
from snapshots.take import Failed, root_folder, step_into, walk_to

#: Seconds. Locks of dead processes are removed within the least time.
POLL, LEAST = 0.1, 1
LARGEST_ROSTER = 1 << 20
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exchange(repos: str, path: str, above: str, snapshots: str, host_id: str, owner: Owner, patience: float, keep_key: bool,
             may_go_on: Callable[[], bool]) -> dict[str, object]:
    """Puts `above`/tree in the place of the repository at `path`, and that one into `above`/tree. Waits for borg's lock for `patience` seconds, and
    holds it while `may_go_on` decides.

    Returns `former`: whether there was anything in the place; and `unsure` if the disk did not confirm it: it may be undone by a power cut. Raises
    OSError and Failed, and the repository is the former one: 'locked'; 'no-lock' (none could be made); 'not-its-own'; 'no-folder' (one above it is
    gone); 'no-such-key'; 'no-exchange' (the file system has no such step); 'elsewhere'; 'stopped'; 'changed' (somebody else has put
    something in the place)."""
    with contextlib.ExitStack() as stack:
        *folders, leaf = path.split('/')
        holder = root_folder(stack, above)
        # Whoever removes what a dead undo has left must not come in between.
        fcntl.flock(holder, fcntl.LOCK_EX)
        parent = walk_to(stack, repos, folders, owner, 'no-folder')
        present = enter_leaf(stack, leaf, parent, owner, depth=len(folders))
        tree = stack.enter_context(opened(TREE, FOLDER, holder))
        # Whoever asked may be ended: then the lock goes, too.
        for each in ENDING:
            signal.signal(each, give_up)
        lock = None if present is None else wait_for_lock(stack, present, above, host_id, owner, patience)
        try:
            if not may_go_on():
                raise Failed('stopped')
            # From here on it takes milliseconds.
            for each in ENDING:
                signal.signal(each, signal.SIG_IGN)
            try:
                carried = carry(present, tree, root_folder(stack, snapshots), owner, keep_key)
            except NoSuchKey:
                raise Failed('no-such-key') from None
            swap(holder, parent, leaf, present)
        finally:
            if lock is not None:
                lock.give_back()
        # From here on it is done, and nothing may say otherwise.
        if present is not None:
            drop_former_keys(carried, present)
        return {'former': present is not None, **confirm(parent, holder)}


def give_up(_signal: int, _frame: object) -> None:
    sys.exit(1)


def enter_leaf(stack: contextlib.ExitStack, leaf: str, parent: int, owner: Owner, depth: int) -> int | None:
    try:
        return step_into(stack, leaf, parent, owner, depth)
    except Changed:
        return None
    except Odd:
        raise Failed('not-its-own') from None


def wait_for_lock(stack: contextlib.ExitStack, repository: int, above: str, host_id: str, owner: Owner, patience: float) -> Lock:
    until, making = time.monotonic() + max(patience, LEAST), root_folder(stack, '%s/%s' % (above, LOCK))
    while True:
        lock = Lock(repository, making, host_id, owner)
        if not lock.made:
            raise Failed('no-lock')
        if lock.held and not has_readers(repository, host_id):
            return lock
        # A reader takes it for a moment when it ends.
        lock.give_back()
        remove_if_dead(repository, host_id)
        if time.monotonic() > until:
            raise Failed('locked')
        time.sleep(POLL)


def remove_if_dead(repository: int, host_id: str) -> None:
    """A session that was killed leaves its lock. borg finds that its process is gone (borg/locking.py, kill_stale_lock)."""
    with contextlib.suppress(OSError, Changed):
        try:
            with opened(NAME, FOLDER, repository) as folder:
                for name in os.listdir(folder):
                    host, _, process = name.rpartition('.')
                    if host == host_id and is_dead(process.partition('-')[0]):
                        os.unlink(name, dir_fd=folder)
            # Not if another host's is in it.
            os.rmdir(NAME, dir_fd=repository)
        except Odd:
            # No borg makes a link or a file of this name. It would keep the lock for ever.
            os.unlink(NAME, dir_fd=repository)


def has_readers(repository: int, host_id: str) -> bool:
    """Whether somebody alive is in borg's list of readers (borg/locking.py, LockRoster)."""
    with contextlib.suppress(Changed, Odd, ValueError, TypeError, KeyError, RecursionError), opened('lock.roster', PLAIN, repository) as file:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return False
        readers = json.loads(os.read(file, LARGEST_ROSTER))['shared']
        return any(host != host_id or not is_dead(str(process)) for host, process, _ in readers)
    return False


def is_dead(process: str) -> bool:
    if not process.isascii() or not process.isdigit() or len(process) > 9 or int(process) == 0:
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    return False


def swap(holder: int, parent: int, leaf: str, present: int | None) -> None:
    # Before the step: if this process is killed right after it, nobody may take the former tree for one that was never used.
    os.unlink(UNUSED, dir_fd=holder)
    os.fsync(holder)
    try:
        rename(TREE, holder, leaf, parent, NOREPLACE if present is None else EXCHANGE)
    except (OSError, Failed):
        mark_unused(holder)
        raise
    if present is None or os.path.samestat(os.fstat(present), os.stat(TREE, dir_fd=holder, follow_symlinks=False)):
        return
    # What came out is not what was locked and kept.
    rename(TREE, holder, leaf, parent, EXCHANGE)
    for each in (parent, holder):
        os.fsync(each)
    mark_unused(holder)
    raise Failed('changed')


def confirm(parent: int, holder: int) -> dict[str, object]:
    try:
        os.fchmod(holder, 0o700)
        for folder in (parent, holder):
            os.fsync(folder)
    except OSError as error:
        return {'unsure': error.strerror}
    return {}
