"""What is opened in a repository. Its account may exchange any name for a link, a FIFO or a device between two looks, and may fill a folder
without end. So everything is opened relative to the folder above, without following a link, and looked at once it is open."""

import contextlib
import os
import stat
from collections.abc import Generator

#: O_NONBLOCK: opening a FIFO would wait for its other end.
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def opened(name: str, flags: int, above: int | None = None) -> Generator[int, None, None]:
    """A descriptor, closed at the end. Raises OSError."""
    descriptor = os.open(name, flags, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_plain(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def numbers_in(folder: int, most: int) -> list[int] | None:
    """The names that are numbers as borg writes them, in rising order; None if there are more than `most` entries. What borg does not write is
    left out: it does not read it either (borg/repository.py, LoggedIO.segment_iterator)."""
    found: list[int] = []
    with os.scandir(folder) as entries:
        for count, entry in enumerate(entries):
            if count == most:
                return None
            if is_number(entry.name):
                found.append(int(entry.name))
    return sorted(found)


def is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and (name == '0' or name[0] != '0') and len(name) <= 18
