"""A snapshot: a second tree of names for the files of a repository, out of reach of every session. It takes no room until the repository
changes."""

import errno
import os
import shutil
import time

from snapshots.folders import FOLDER, is_number, numbers_in, opened
from snapshots.keep import NO_OWNER, WRITTEN_TO, Changed, Odd, copy, share
from snapshots.lock import borgs_lock

#: borg overwrites a former `config` with random bytes where it is, and appends to `transactions` where it is: a second name would see that.
#: `nonce` is a few bytes. Each with the most bytes that it may have.
COPIED = {'config': 1 << 20, 'README': 1 << 16, 'nonce': 1 << 10, 'transactions': 1 << 27}
#: borg replaces these by renaming a new file. Each name goes on with the number of a transaction.
SHARED = ('index', 'hints', 'integrity')
#: Entries of one folder that are looked at. borg puts 1,000 segments into a folder, unless its config says otherwise.
MOST_ENTRIES = 100_000
#: A client that compacts all the time may change the repository under each try.
TRIES = 5
#: So many names are told.
TOLD = 3


class Failed(Exception):
    def __init__(self, code: str, **found: object):
        self.code, self.found = code, found


def take(path: str, into: str, host_id: str) -> dict[str, object]:
    """Takes a snapshot of the repository at `path` into the empty folder `into`, which is root's and on the same file system.

    It takes borg's lock if that is free. Else, and because a borg that was taken over takes no lock, it looks afterwards whether anything has
    changed, and begins again if so: nobody waits for a snapshot for longer than it takes, and it waits for nobody.

    Returns `transaction` (the number of the index; null if there is none), `segments`, `bytes`, `locked`, `seconds` (for which the lock was held),
    `tries`, `protected` (false where the file system keeps no owners, so that the account can write to what the snapshot shares), and `writable`:
    the names of committed segments, three at most, that somebody held open for writing. No borg does that. Raises Failed and OSError."""
    with opened(path, FOLDER) as repository, opened(into, FOLDER) as target:
        with borgs_lock(repository, host_id) as locked:
            begun = time.monotonic()
            told = again_and_again(repository, target)
            seconds = time.monotonic() - begun
        sync(target)
    return {**told, 'locked': locked, 'seconds': round(seconds, 6)}


def again_and_again(repository: int, target: int) -> dict[str, object]:
    for tries in range(1, TRIES + 1):
        try:
            return {**once(repository, target), 'tries': tries}
        except Changed:
            empty(target)
        except Odd as odd:
            raise Failed('odd-entry', name=odd.name) from None
    raise Failed('changes', tries=TRIES)


def once(repository: int, target: int) -> dict[str, object]:
    group = os.fstat(repository).st_gid
    before = last_transaction(repository)
    bytes_of_all = sum(copy_if_there(name, repository, target, most) for name, most in COPIED.items())
    if before is not None:
        for name in SHARED:
            bytes_of_all += share_if_there('%s.%d' % (name, before), repository, target, group)
    segments, protected = 0, True
    writable: list[str] = []
    for number, folder, place in folders_of_data(repository, target):
        for segment in entries(folder):
            size, state = share(str(segment), folder, place, group)
            if state == WRITTEN_TO and segment > (-1 if before is None else before):
                # A session is writing it: it is not committed, and borg removes such a segment when it next opens the repository.
                os.unlink(str(segment), dir_fd=place)
                continue
            segments += 1
            bytes_of_all += size
            protected = protected and state != NO_OWNER
            if state == WRITTEN_TO and len(writable) < TOLD:
                writable.append('data/%d/%d' % (number, segment))
    if last_transaction(repository) != before:
        raise Changed
    return {'transaction': before, 'segments': segments, 'bytes': bytes_of_all, 'protected': protected, 'writable': writable}


def folders_of_data(repository: int, target: int):
    """Yields the number of each folder of segments, a descriptor of it, and one of the same folder in the snapshot."""
    with within('data', repository) as data:
        os.mkdir('data', dir_fd=target)
        with opened('data', FOLDER, target) as data_there:
            for number in entries(data):
                with within(str(number), data) as folder:
                    os.mkdir(str(number), dir_fd=data_there)
                    with opened(str(number), FOLDER, data_there) as place:
                        yield number, folder, place


def within(name: str, above: int):
    try:
        return opened_now(name, above)
    except FileNotFoundError:
        raise Changed from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Odd(name) from None
        raise


class opened_now:
    """`opened`, but it opens when it is made, so that the caller can tell why that failed."""

    def __init__(self, name: str, above: int):
        self.descriptor = os.open(name, FOLDER, dir_fd=above)

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def entries(folder: int) -> list[int]:
    found = numbers_in(folder, MOST_ENTRIES)
    if found is None:
        raise Failed('too-many-entries', most=MOST_ENTRIES)
    return found


def last_transaction(repository: int) -> int | None:
    """The number in the name of the newest index, as borg finds it."""
    highest = None
    with os.scandir(repository) as found:
        for count, entry in enumerate(found):
            if count == MOST_ENTRIES:
                raise Failed('too-many-entries', most=MOST_ENTRIES)
            name, _, number = entry.name.partition('.')
            if name == 'index' and is_number(number):
                highest = max(int(number), highest or 0)
    return highest


def copy_if_there(name: str, repository: int, target: int, most: int) -> int:
    # borg makes all of them but `config` when it needs them.
    return copy(name, repository, target, most) if name == 'config' or is_there(name, repository) else 0


def share_if_there(name: str, repository: int, target: int, group: int) -> int:
    return share(name, repository, target, group)[0] if is_there(name, repository) else 0


def is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def empty(target: int) -> None:
    """Only root can reach this folder."""
    for name in os.listdir(target):
        if name == 'data':
            shutil.rmtree(name, dir_fd=target)
        else:
            os.unlink(name, dir_fd=target)


def sync(target: int) -> None:
    """The names are on the disk before anybody relies on them. The copied files are already."""
    with opened('data', FOLDER, target) as data:
        for name in os.listdir(data):
            with opened(name, FOLDER, data) as folder:
                os.fsync(folder)
        os.fsync(data)
    os.fsync(target)
