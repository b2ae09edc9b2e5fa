"""The descriptors behind the standard streams: which the session host keeps, and which a session does."""

import os
from collections.abc import Iterable

#: The first descriptor after the standard streams.
FIRST = 3
#: Descriptors that the host itself may have before the first client.
MOST_OWN = 64


def own_descriptors() -> list[int]:
    """Descriptors that a library has opened for itself. libffi maps a part of its own file for callbacks of ctypes. If it were closed, another
    file would get its number, and libffi would map that one instead."""
    return [each for each in range(FIRST, MOST_OWN) if os.path.basename(link_of(each)).startswith('libffi.so')]


def link_of(number: int) -> str:
    try:
        return os.readlink('/proc/self/fd/%d' % number)
    except OSError:
        return ''


def spare_descriptor() -> int | None:
    try:
        return os.open('/', os.O_RDONLY)
    except OSError:
        return None


def close_all_but(kept: Iterable[int]) -> None:
    """Closes all descriptors after the standard streams but these. With a copy of another client's connection left open here, that client would
    go on waiting after the host has closed it."""
    start = FIRST
    for each in sorted(kept):
        # Not with an empty range: closerange() may then close everything.
        if each > start:
            os.closerange(start, each)
        start = each + 1
    os.closerange(start, os.sysconf('SC_OPEN_MAX'))
