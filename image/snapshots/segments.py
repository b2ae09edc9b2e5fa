"""What is in segments and in index.N, without any key (borg/repository.py, LoggedIO; borg/_hashindex.c, HashHeader).

The account's client has chosen every byte. So nothing here trusts a size or a number, and no code of borg's or in C parses it."""

import contextlib
import dataclasses
import mmap
import os
import struct
from collections.abc import Iterator

from snapshots.folders import PLAIN, Changed, Odd, opened

MAGIC, HEAD = b'BORG_SEG', struct.Struct('<IIB')
ID = 32
PUT, DELETE, COMMIT = 0, 1, 2
#: The last entry of a segment that commits (borg/repository.py, LoggedIO.COMMIT).
COMMITTED = bytes.fromhex('40f43c250900000002')
#: borg writes the list of archives under this id.
MANIFEST = bytes(ID)

INDEX_HEAD = struct.Struct('<8siibb')
BUCKET = struct.Struct('<32sII')
EMPTY, DELETED = 0xFFFFFFFF, 0xFFFFFFFE
#: borg keeps a quarter of the buckets free. So many in a row that are not is no index of borg's.
MOST_PROBES = 100_000


class Unreadable(Exception):
    """It is not as borg writes it. `what`: 'segment' or 'index'."""

    def __init__(self, what: str):
        self.what = what


@dataclasses.dataclass(frozen=True)
class Entry:
    tag: int
    id: bytes
    #: Of the whole entry, in bytes.
    size: int
    #: With size: what tells two contents under one id apart.
    crc: int
    offset: int


def entries(segment: int) -> Iterator[Entry]:
    """The entries of a segment in their order, without their data. segment: a descriptor. Raises Unreadable and OSError."""
    end, at = os.fstat(segment).st_size, len(MAGIC)
    if os.pread(segment, at, 0) != MAGIC:
        raise Unreadable('segment')
    while at < end:
        yield (found := entry_at(segment, at, end))
        at += found.size


def entry_at(segment: int, at: int, end: int) -> Entry:
    """Raises Unreadable if there is no whole entry, and OSError."""
    head = os.pread(segment, HEAD.size + ID, at)
    if len(head) < HEAD.size:
        raise Unreadable('segment')
    crc, size, tag = HEAD.unpack_from(head)
    least = HEAD.size if tag == COMMIT else HEAD.size + ID
    if tag not in (PUT, DELETE, COMMIT) or size < least or at + size > end or len(head) < least:
        raise Unreadable('segment')
    return Entry(tag, head[HEAD.size:least], size, crc, at)


def ends_with_commit(name: str, folder: int | None = None) -> bool:
    with contextlib.suppress(OSError, Changed, Odd), opened(name, PLAIN, folder) as file:
        return os.pread(file, len(COMMITTED), max(0, os.fstat(file).st_size - len(COMMITTED))) == COMMITTED
    return False


class Index:
    """index.N: where each object is, as (segment, offset). It is mapped, not read: a large one has gigabytes. A context manager.

    name, folder: of a file that only root can write. Raises Unreadable and OSError."""

    def __init__(self, name: str, folder: int):
        with opened(name, PLAIN, folder) as file:
            size = os.fstat(file).st_size
            head = os.pread(file, INDEX_HEAD.size, 0)
            if len(head) < INDEX_HEAD.size:
                raise Unreadable('index')
            magic, self.objects, self.buckets, key, value = INDEX_HEAD.unpack(head)
            if (magic, key, value) != (b'BORG_IDX', ID, 8) or self.buckets <= 0 or not 0 <= self.objects <= self.buckets:
                raise Unreadable('index')
            if size != INDEX_HEAD.size + self.buckets * BUCKET.size:
                raise Unreadable('index')
            self.map = mmap.mmap(file, size, access=mmap.ACCESS_READ)

    def __enter__(self) -> 'Index':
        return self

    def __exit__(self, *_: object) -> None:
        self.map.close()

    def find(self, wanted: bytes) -> tuple[int, int] | None:
        """Raises Unreadable."""
        place = int.from_bytes(wanted[:4], 'little') % self.buckets
        for _ in range(min(self.buckets, MOST_PROBES)):
            key, segment, offset = BUCKET.unpack_from(self.map, INDEX_HEAD.size + place * BUCKET.size)
            if segment == EMPTY:
                return None
            if segment != DELETED and key == wanted:
                return segment, offset
            place = (place + 1) % self.buckets
        if self.buckets <= MOST_PROBES:
            return None
        raise Unreadable('index')

    def __iter__(self) -> Iterator[tuple[bytes, int, int]]:
        """Each object with its place, in no order."""
        buckets = memoryview(self.map)[INDEX_HEAD.size:]
        try:
            for key, segment, offset in BUCKET.iter_unpack(buckets):
                if segment < DELETED:
                    yield key, segment, offset
        finally:
            buckets.release()
