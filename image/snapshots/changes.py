"""What has happened in a repository between two snapshots: objects that were added, deleted, or replaced by others under the same id."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator

from launcher import box
from snapshots.folders import FOLDER, PLAIN, Changed, Odd, is_number, last_index, opened
from snapshots.segments import DELETE, MANIFEST, PUT, Entry, Index, Unreadable, entries, entry_at
from snapshots.take import root_folder

#: An account can make entries without end. Seconds.
MOST_ENTRIES, PATIENCE = 50_000_000, 600
#: Of so many deleted objects the sizes are read, each with a look into its segment. A disk that turns takes 10 ms for one.
MOST_SIZES, SIZES_PATIENCE = 100_000, 60


class TooMuch(Exception):
    pass


@dataclasses.dataclass
class Amount:
    objects: int = 0
    #: As they lie in the segments: compressed, encrypted, and with their headers. None: not known.
    bytes: int | None = 0

    def add(self, size: int) -> None:
        self.objects += 1
        self.bytes = (self.bytes or 0) + size


@dataclasses.dataclass
class State:
    """A snapshot that is held open. segments: number → the folder it is in, and its inode. last: the number of its last transaction; what comes
    after that was not committed."""

    data: int
    segments: dict[int, tuple[str, int]]
    index: Index
    last: int

    def opened(self, number: int) -> contextlib.AbstractContextManager[int]:
        if number not in self.segments:
            raise Unreadable('index')
        return opened('%s/%d' % (self.segments[number][0], number), PLAIN, self.data)

    def committed(self) -> Iterator[int]:
        return (number for number in self.segments if number <= self.last)

    def size_of(self, number: int) -> int:
        return os.stat('%s/%d' % (self.segments[number][0], number), dir_fd=self.data, follow_symlinks=False).st_size


def changes(older: str, newer: str, known: int) -> dict[str, object]:
    """older, newer: the folders `repository` of two snapshots of one repository; only root can reach them. known: the last transaction of the state
    before the older one.

    Returns `objects`, with `before` and `after`, and `bytes`, of all in the older one; null if an index is missing or not as borg writes it. And
    `counted`, each with `objects` and `bytes`: `added`; `deleted` (of what stood in the older one; what was made and removed in between is neither);
    `replaced` (another content under the same id; the manifest is not one of them). In it `deletedRecent`: how many of the deleted ones are younger
    than `known`; `compacted`: segments and bytes of them that have gone. Null if it could not be counted. And `unknown`, why something is missing:
    'nothing' (is committed), 'no-index', 'index', 'segment' (not as borg writes it), 'too-much'; 'before-…' for the older one; or null. With
    `counted`, what was added and replaced is not whole then. Raises OSError."""
    told: dict[str, object] = {'objects': None, 'counted': None, 'unknown': None}
    with contextlib.ExitStack() as stack:
        try:
            try:
                before = open_state(stack, older)
            except Unreadable as error:
                # What is damaged was told when it was the newer one.
                return {**told, 'unknown': 'before-' + error.what}
            states = before, open_state(stack, newer)
            told['objects'] = {'before': states[0].index.objects, 'after': states[1].index.objects,
                               'bytes': sum(map(states[0].size_of, states[0].committed()))}
            with contextlib.suppress(box.NoBox):
                # What it reads is the client's. From here on it can do nothing but read the two.
                box.confine([(box.READ, older), (box.READ, newer)])
            told['counted'], told['unknown'] = compare(*states, known)
        except Unreadable as error:
            told['unknown'] = error.what
        except TooMuch:
            told['unknown'] = 'too-much'
        except (Changed, Odd):
            told['unknown'] = 'no-index'
    return told


def open_state(stack: contextlib.ExitStack, path: str) -> State:
    folder = root_folder(stack, path)
    data = stack.enter_context(opened('data', FOLDER, folder))
    segments: dict[int, tuple[str, int]] = {}
    for name in os.listdir(data):
        with opened(name, FOLDER, data) as each, os.scandir(each) as found:
            segments.update({int(entry.name): (name, entry.inode()) for entry in found if is_number(entry.name)})
    last = last_index(os.listdir(folder))
    if last is None:
        # Without any segment nothing had been committed yet.
        raise Unreadable('no-index' if segments else 'nothing')
    return State(data, segments, stack.enter_context(Index('index.%d' % last, folder)), last)


class Counting:
    """Gives up after so many entries, or so long."""

    def __init__(self):
        self.left, self.until = MOST_ENTRIES, time.monotonic() + PATIENCE

    def one(self) -> None:
        self.left -= 1
        if self.left < 0 or (self.left % 1000 == 0 and time.monotonic() > self.until):
            raise TooMuch


def compare(older: State, newer: State, known: int) -> tuple[dict[str, object], str | None]:
    counting = Counting()
    gone = [number for number in older.committed() if newer.segments.get(number, ('', 0))[1] != older.segments[number][1]]
    # What was not committed then may be committed now.
    new = sorted(number for number in newer.committed()
                 if number > older.last or older.segments.get(number, ('', 0))[1] != newer.segments[number][1])
    added, replaced, unknown = Amount(), Amount(), None
    deletes = False
    try:
        for number, entry, before in all_entries(newer, new, counting):
            deletes = deletes or entry.tag == DELETE
            if entry.tag == PUT and entry.id != MANIFEST and newer.index.find(entry.id) == (number, entry.offset):
                if older.index.find(entry.id) is None:
                    added.add(entry.size)
                elif before is not None and (before.tag, before.id) == (DELETE, entry.id):
                    # borg writes these two where an object is overwritten (borg/repository.py, put). A compaction writes what it keeps once more, and
                    # what was deleted and saved again has no such pair.
                    replaced.add(entry.size)
    except Unreadable as error:
        unknown = error.what
    except TooMuch:
        unknown = 'too-much'
    # A compaction removes what says that something was deleted, too. And an index may have been made anew of entries that had been there before.
    fewer = newer.index.objects < older.index.objects + added.objects
    deleted, recent = count_deleted(older, newer, known, Counting()) if deletes or gone or unknown or fewer else (Amount(), 0)
    counted: dict[str, object] = {
        'added': dataclasses.asdict(added), 'deleted': dataclasses.asdict(deleted), 'deletedRecent': recent,
        'replaced': dataclasses.asdict(replaced), 'compacted': {'segments': len(gone), 'bytes': sum(map(older.size_of, gone))},
    }
    return counted, unknown


def all_entries(state: State, numbers: list[int], counting: Counting) -> Iterator[tuple[int, Entry, Entry | None]]:
    """Each with the number of its segment, and the one before it."""
    before = None
    for number in numbers:
        with state.opened(number) as file:
            for entry in entries(file):
                counting.one()
                yield number, entry, before
                before = entry


def count_deleted(older: State, newer: State, known: int, counting: Counting) -> tuple[Amount, int]:
    """What the older index has and the newer one has not; and how many of these are younger than `known`."""
    objects, recent, places = 0, 0, list[tuple[int, int]]()
    for each, segment, offset in older.index:
        counting.one()
        if each != MANIFEST and newer.index.find(each) is None:
            objects += 1
            recent += segment > known
            if objects <= MOST_SIZES:
                places.append((segment, offset))
    return Amount(objects, sizes(older, places) if objects <= MOST_SIZES else None), recent


def sizes(state: State, places: list[tuple[int, int]]) -> int | None:
    """Of all entries there, in bytes. None if it takes too long, or nobody knows."""
    total, until = 0, time.monotonic() + SIZES_PATIENCE
    # In the order in which they lie on the disk.
    for segment, offset in sorted(places):
        try:
            with state.opened(segment) as file:
                total += entry_at(file, offset, os.fstat(file).st_size).size
        except (Unreadable, Changed, Odd):
            return None
        if time.monotonic() > until:
            return None
    return total
