"""A snapshot: a second tree of names for the files of a repository, out of reach of every session. It takes no room until the repository
changes."""

import contextlib
import dataclasses
import errno
import os
import shutil
import time

from snapshots.folders import FOLDER, Changed, Odd, is_number, is_there, last_index, opened
from snapshots.keep import CLOSED, WRITTEN_TO, Owner, Shared, copy, has_leases, share
from snapshots.lock import Lock

#: borg overwrites a former `config` with random bytes where it is, and appends to `transactions` where it is: a second name would see that.
#: `nonce` is a few bytes. Each with the most bytes that it may have.
COPIED = {'config': 1 << 20, 'README': 1 << 16, 'nonce': 1 << 10, 'transactions': 1 << 24}
#: borg replaces these by renaming a new file, and makes them anew where they are missing. Each name goes on with the number of a transaction.
SHARED = ('index', 'hints', 'integrity')
#: Names in all folders together, and seconds: an account can make both without end.
MOST_NAMES = 1_000_000
PATIENCE = 120
#: A client that compacts all the time may change the repository under each try.
TRIES = 5
#: So many names are told.
TOLD = 3


class Failed(Exception):
    """code: 'no-repository'; 'not-its-own' (another's folder is there); 'odd-entry', with `name`; 'writable', with `names` and `count`: somebody, and
    no borg, has committed segments open for writing; 'changes': it changed under each try; 'too-much': too many names, or too much time;
    'other-file-system'."""

    def __init__(self, code: str, **found: object):
        self.code, self.found = code, found


def take(repos: str, path: str, into: str, host_id: str, owner: Owner) -> dict[str, object]:
    """Takes a snapshot of the repository at `path` below `repos` into the empty folder `into`, which is root's and on the same file system. If it
    fails, `into` is empty again.

    It takes borg's lock if that is free, for half a second at most. Else, and because a borg that was taken over takes no lock, it looks afterwards
    whether anything has changed, and begins again if so. So nobody waits for a snapshot, and it waits for nobody.

    Returns `transaction` (the number of the index; null if there is none), `segments`, `bytes`, `locked` (whether the lock was taken), `seconds` (for
    which it was held), `tries`, and `protected`: false where the file system keeps no owners or no leases, so that it is not sure that nobody can
    write to what the snapshot shares. Raises Failed and OSError."""
    with contextlib.ExitStack() as stack:
        target = root_folder(stack, into)
        try:
            repository = enter(stack, repos, path, owner)
            lock = Lock(repository, target, host_id, owner)
            try:
                told = Taking(repository, target, owner, lock, has_leases(target)).again_and_again()
            finally:
                lock.give_back()
            sync(target)
        except BaseException:
            empty(target)
            raise
    return {**told, 'locked': lock.taken, 'seconds': round(lock.seconds, 6)}


def root_folder(stack: contextlib.ExitStack, path: str) -> int:
    """A folder of root's own, by its absolute path."""
    found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, found)
    return found


def enter(stack: contextlib.ExitStack, repos: str, path: str, owner: Owner) -> int:
    found = walk_to(stack, repos, path.split('/'), owner)
    if not is_there('config', found) or not is_there('data', found):
        raise Failed('no-repository')
    return found


def walk_to(stack: contextlib.ExitStack, repos: str, parts: list[str], owner: Owner, missing: str = 'no-repository') -> int:
    """Part by part: the account may put a link into the place of each folder below its own. Raises Failed; with `missing` if one is not there."""
    found = root_folder(stack, repos)
    for depth, part in enumerate(parts):
        try:
            found = step_into(stack, part, found, owner, depth)
        except (Changed, Odd):
            raise Failed(missing) from None
    return found


def step_into(stack: contextlib.ExitStack, part: str, above: int, owner: Owner, depth: int) -> int:
    """depth: 0 for the account's own folder; below it the admins make folders, too. Raises Failed, Changed and Odd, as `opened` does."""
    if part in ('', '.', '..'):
        raise Failed('no-repository')
    found = stack.enter_context(opened(part, FOLDER, above))
    status = os.fstat(found)
    if status.st_gid != owner.gid or status.st_uid not in ((owner.uid, owner.admins) if depth else (owner.uid,)):
        raise Failed('not-its-own')
    return found


@dataclasses.dataclass
class Taking:
    repository: int
    target: int
    owner: Owner
    lock: Lock
    leases: bool

    def __post_init__(self):
        self.until, self.names = time.monotonic() + PATIENCE, 0

    def again_and_again(self) -> dict[str, object]:
        for tries in range(1, TRIES + 1):
            try:
                return {**self.once(), 'tries': tries}
            except Changed:
                empty(self.target)
            except Odd as odd:
                raise Failed('odd-entry', name=odd.name) from None
            except OSError as error:
                if error.errno == errno.EXDEV:
                    raise Failed('other-file-system') from None
                raise
        raise Failed('changes')

    def once(self) -> dict[str, object]:
        before = self.last_transaction()
        size = sum(copy(name, self.repository, self.target, most, self.owner)
                   for name, most in COPIED.items() if name == 'config' or is_there(name, self.repository))
        for name in () if before is None else ['%s.%d' % (each, before) for each in SHARED]:
            size += self.share_if_closed(name)
        found: dict[int, Shared] = {}
        with opened('data', FOLDER, self.repository) as data:
            os.mkdir('data', dir_fd=self.target)
            with opened('data', FOLDER, self.target) as there:
                folders = self.folders_twice(data)
                for name, segments in folders.items():
                    self.share_all(name, segments, data, there, found)
                places = {segment: name for name, segments in folders.items() for segment in segments}
                committed = -1 if before is None else before
                leave_out_unfinished(there, found, places, committed, self.lock.held)
                compare(data, found, places, committed)
        if self.last_transaction() != before:
            raise Changed
        states = {each.state for each in found.values()}
        return {'transaction': before, 'segments': len(found), 'bytes': size + sum(each.size for each in found.values()),
                'protected': states <= {CLOSED}}

    def share_if_closed(self, name: str) -> int:
        """borg trusts these. So what somebody may still change is left out, and borg makes it anew."""
        if not is_there(name, self.repository):
            return 0
        shared = share(name, self.repository, self.target, self.owner, self.leases)
        if shared.state == WRITTEN_TO:
            os.unlink(name, dir_fd=self.target)
            return 0
        return shared.size

    def folders_twice(self, data: int) -> dict[str, list[int]]:
        """The segments in each folder that has some. A compaction writes what it keeps into a new segment, and then removes the old one. One look may
        miss both: the new one was in a folder that was not there yet. If nothing has gone between two looks, the second one has one of the two."""
        first, second = self.folders(data), self.folders(data)
        for name, segments in first.items():
            if not set(segments) <= set(second.get(name, ())):
                raise Changed
        return second

    def folders(self, data: int) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number in self.numbers(data):
            with opened(str(number), FOLDER, data) as folder:
                if segments := self.numbers(folder):
                    found[str(number)] = segments
        return found

    def share_all(self, name: str, segments: list[int], data: int, there: int, found: dict[int, Shared]) -> None:
        os.mkdir(name, dir_fd=there)
        with opened(name, FOLDER, data) as folder, opened(name, FOLDER, there) as place:
            for segment in segments:
                if segment in found:
                    raise Odd(str(segment))
                found[segment] = share(str(segment), folder, place, self.owner, self.leases)
                self.lock.give_back_if_late()

    def last_transaction(self) -> int | None:
        return last_index(entry.name for entry in self.entries(self.repository))

    def numbers(self, folder: int) -> list[int]:
        """The names that are numbers as borg writes them, in rising order. Everything else is left out."""
        return sorted({int(entry.name) for entry in self.entries(folder) if is_number(entry.name)})

    def entries(self, folder: int):
        with os.scandir(folder) as found:
            for entry in found:
                self.names += 1
                if self.names > MOST_NAMES or time.monotonic() > self.until:
                    raise Failed('too-much')
                yield entry


def leave_out_unfinished(there: int, found: dict[int, Shared], places: dict[int, str], committed: int, locked: bool) -> None:
    """The segment that a session is writing is not committed: it is the last one, and borg would remove it when it next opens the repository.

    there: a descriptor of `data` in the snapshot. places: the folder of each segment. committed: the last transaction, -1 if there is none."""
    if committed >= 0 and committed not in found:
        # A compaction has removed the former commit, and has not written its index yet.
        raise Changed
    written = [segment for segment, each in found.items() if each.state == WRITTEN_TO]
    last = max(found, default=-1)
    if written == [last] and last > committed and not locked:
        os.unlink('%s/%d' % (places[last], last), dir_fd=there)
        del found[last]
    elif written:
        raise Failed('writable', names=['%s/%d' % (places[each], each) for each in written[:TOLD]], count=len(written))


def compare(data: int, found: dict[int, Shared], places: dict[int, str], committed: int) -> None:
    """What is not committed may be removed, and its number used again, by the next session. Together with that session's commit the former file
    would count as committed."""
    for segment, shared in found.items():
        if segment > committed:
            try:
                now = os.stat('%s/%d' % (places[segment], segment), dir_fd=data, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                raise Changed from None
            if now.st_ino != shared.inode:
                raise Changed


def empty(target: int) -> None:
    """Only root can reach this folder."""
    for name in os.listdir(target):
        if name in ('data', 'lock.exclusive'):
            shutil.rmtree(name, dir_fd=target)
        else:
            os.unlink(name, dir_fd=target)


def sync(target: int) -> None:
    """What was copied, and all names, are on the disk before anybody relies on them."""
    for name in os.listdir(target):
        if name in COPIED:
            with opened(name, os.O_RDONLY | os.O_CLOEXEC, target) as file:
                os.fsync(file)
    with opened('data', FOLDER, target) as data:
        for name in os.listdir(data):
            with opened(name, FOLDER, data) as folder:
                os.fsync(folder)
        os.fsync(data)
    os.fsync(target)
