"""To which transactions a repository can go back, as one of its snapshots has it.

A transaction has the number of the segment that commits it. borg counts segments from 0 without a gap: what an interrupted client has left is
removed, and its numbers are used again (borg/repository.py, LoggedIO.cleanup). It never changes a committed segment, and only a compaction removes
any. So the state of transaction N is all segments up to N, as long as none of them was removed since.

Snapshots are root's: only root can change what is read here. But the account has written every byte of it."""

import contextlib
import dataclasses
import datetime
import os
import re
from collections.abc import Iterator

from snapshots.folders import PLAIN, Changed, opened
from snapshots.segments import COMMIT, Unreadable, ends_with_commit, entries
from snapshots.take import COPIED, Failed

LOG = 'transactions'
#: As borg writes it (borg/repository.py, write_index), in an append-only repository alone.
LINE = re.compile(rb'transaction (\d{1,10}), UTC time (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})')
SNAPSHOT = re.compile(r'(\d{1,9})@[-\dT:]+Z')
#: What borg writes to commit is a segment of one entry. The first versions had more in it. An account can make entries without end.
MOST_ENTRIES = 1_000_000

#: number → the folder it is in, and its inode
Segments = dict[int, tuple[str, int]]


@dataclasses.dataclass(frozen=True)
class Logged:
    number: int
    #: Milliseconds since the epoch, by the clock of whoever served then.
    at: int
    line: bytes


def look(snapshot: str, number: int) -> dict[str, object]:
    """Whether the whole state of this transaction is in the segments of a snapshot (its folder `repository`).

    Returns `segments` and `bytes` of that state; `goes`, those that came later; and `at`, when it was committed, in milliseconds since the epoch
    (null: nothing says so). Raises OSError and Failed: 'no-transaction' (later than the last one, with `number`, that one);
    'present-transaction'; 'compacted', with `number`, a segment that is gone; 'no-commit' (no transaction ends there)."""
    segments = segments_of(snapshot)
    present = last_commit(snapshot, segments)
    if number > present:
        raise Failed('no-transaction', number=present)
    if number == present:
        raise Failed('present-transaction')
    reached = -1
    for first, last in runs(snapshot, segments):
        reached = max(reached, last if first <= number else -1)
        if reached >= number:
            break
    else:
        raise Failed('compacted', number=reached + 1)
    if not commits(snapshot, segments, number):
        raise Failed('no-commit')
    stays, goes = {'segments': 0, 'bytes': 0}, {'segments': 0, 'bytes': 0}
    for _, each in files(snapshot):
        amount = stays if int(each.name) <= number else goes
        amount['segments'] += 1
        amount['bytes'] += each.stat(follow_symlinks=False).st_size
    return {**stays, 'goes': goes, 'at': next((each.at for each in read_log(snapshot) or () if each.number == number), None)}


def listed(snapshot: str, most: int) -> dict[str, object]:
    """The transactions that `snapshot`/transactions names, the last `most` of them.

    Returns `count`, of all; `present`, the last transaction; and `found`, the newest first: each with `transaction`, `at`, `snapshots` (numbers of
    those that have this very state) and `whole` (whether all of it is still there). Raises OSError, and Failed('no-log')."""
    log = read_log(snapshot)
    if log is None:
        raise Failed('no-log')
    segments = segments_of(snapshot)
    whole, taken = list(runs(snapshot, segments)), snapshots_at(snapshot, segments)

    def described(each: Logged) -> dict[str, object]:
        return {'transaction': each.number, 'at': each.at, 'snapshots': taken.get(each.number, []),
                'whole': any(first <= each.number <= last for first, last in whole) and is_commit(snapshot, segments, each.number)}

    return {'count': len(log), 'present': last_commit(snapshot, segments), 'found': [described(each) for each in reversed(log[-most:])]}


def cut(text: bytes, number: int) -> bytes:
    """The lines of the transactions until this one, and nothing else."""
    return b''.join(each.line + b'\n' for each in logged(text) if each.number <= number)


def logged(text: bytes) -> list[Logged]:
    """What the lines of borg's say, in rising order. Everything else in it is left out.

    Of numbers that do not rise the later ones count: after an undo borg uses them again. Of two lines for one transaction, the first one counts: borg
    writes another one when it makes its index anew."""
    found: list[Logged] = []
    for line in text.split(b'\n'):
        with contextlib.suppress(ValueError):
            if match := LINE.fullmatch(line):
                number, at = int(match[1]), datetime.datetime.fromisoformat(match[2].decode() + '+00:00')
                while found and found[-1].number > number:
                    found.pop()
                if not found or found[-1].number < number:
                    found.append(Logged(number, int(at.timestamp() * 1000), line))
    return found


def read_log(snapshot: str) -> list[Logged] | None:
    with contextlib.suppress(Changed), opened('%s/%s' % (snapshot, LOG), PLAIN) as file:
        return logged(os.read(file, COPIED[LOG]))
    return None


def segments_of(snapshot: str) -> Segments:
    """Those that borg takes for there: it makes one empty before it removes it (borg/repository.py, segment_exists)."""
    return {int(each.name): (folder, each.inode()) for folder, each in files(snapshot) if each.stat(follow_symlinks=False).st_size > 0}


def files(snapshot: str) -> Iterator[tuple[str, 'os.DirEntry[str]']]:
    data = snapshot + '/data'
    for folder in os.listdir(data):
        with os.scandir('%s/%s' % (data, folder)) as found:
            for each in found:
                yield folder, each


def path_of(snapshot: str, segments: Segments, number: int) -> str:
    return '%s/data/%s/%d' % (snapshot, segments[number][0], number)


def last_commit(snapshot: str, segments: Segments) -> int:
    """As borg finds it: its index may not know it yet. -1 if there is none."""
    return next((number for number in sorted(segments, reverse=True) if is_commit(snapshot, segments, number)), -1)


def is_commit(snapshot: str, segments: Segments, number: int) -> bool:
    return number in segments and ends_with_commit(path_of(snapshot, segments, number))


def commits(snapshot: str, segments: Segments, number: int) -> bool:
    """Whether borg takes it for a commit, too: the bytes of one may also be the end of something else (borg/repository.py, is_committed_segment)."""
    if not is_commit(snapshot, segments, number):
        return False
    seen = False
    with contextlib.suppress(Unreadable), opened(path_of(snapshot, segments, number), PLAIN) as file:
        for count, entry in enumerate(entries(file)):
            if count >= MOST_ENTRIES or seen and entry.tag != COMMIT:
                return False
            seen = entry.tag == COMMIT
        return seen
    return False


def runs(snapshot: str, segments: Segments) -> Iterator[tuple[int, int]]:
    """From where to where the state of each transaction is whole.

    What was compacted before a snapshot was taken is nothing that its state lacks. So where all segments of an older snapshot are still there, each
    transaction that follows it without a gap is whole, too."""
    end = run_from(0, segments)
    yield 0, end
    if end < max(segments, default=-1):
        for _, path in others(snapshot):
            with contextlib.suppress(OSError):
                last, theirs = state_of(path)
                if last >= 0 and all(segments.get(number) == place for number, place in theirs.items() if number <= last):
                    yield last, run_from(last + 1, segments)


def run_from(number: int, segments: Segments) -> int:
    while number in segments:
        number += 1
    return number - 1


def snapshots_at(snapshot: str, segments: Segments) -> dict[int, list[int]]:
    """By their last transaction. A number may have been used again: what they share is one file."""
    found: dict[int, list[int]] = {}
    for number, path in others(snapshot):
        with contextlib.suppress(OSError):
            last, theirs = state_of(path)
            if last >= 0 and theirs[last] == segments.get(last):
                found.setdefault(last, []).append(number)
    return found


def others(snapshot: str) -> list[tuple[int, str]]:
    """All snapshots of this repository, this one too, with their numbers: the newest first."""
    above = os.path.dirname(os.path.dirname(snapshot))
    numbers = [(int(match[1]), '%s/%s/repository' % (above, name)) for name in os.listdir(above) if (match := SNAPSHOT.fullmatch(name))]
    return sorted(numbers, reverse=True)


def state_of(snapshot: str) -> tuple[int, Segments]:
    """The last transaction (-1: none), and the segments. Raises OSError.

    A compaction removes segments long before it writes its index. What was in them is behind a commit that the index does not know."""
    segments = segments_of(snapshot)
    found = next((number for number in sorted(segments, reverse=True) if commits(snapshot, segments, number)), -1), segments
    # One that is removed gets another name first, and could be half gone by now.
    os.stat(snapshot)
    return found
