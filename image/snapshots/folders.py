"""What is opened in a repository. Its account may exchange any name for a link, a FIFO or a device between two looks, and may fill a folder
without end. So everything is opened relative to the folder above, without following a link, and looked at once it is open."""

import contextlib
import errno
import os
from collections.abc import Generator, Iterable

#: O_NONBLOCK: opening a FIFO would wait for its other end.
PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
#: A link; a socket; something that is no folder; a file on which somebody has a lease.
NOT_PLAIN = (errno.ELOOP, errno.ENXIO, errno.ENOTDIR, errno.EAGAIN)


class Changed(Exception):
    """Somebody has changed the repository meanwhile."""


class Odd(Exception):
    """Something that borg would not make, or that is not the account's."""

    def __init__(self, name: str):
        self.name = name


@contextlib.contextmanager
def opened(name: str, flags: int, above: int | None = None) -> Generator[int, None, None]:
    """A descriptor, closed at the end. Raises Changed where nothing of this name is there any more, Odd where it is a link or of another kind,
    and OSError."""
    try:
        descriptor = os.open(name, flags, dir_fd=above)
    except FileNotFoundError:
        raise Changed from None
    except OSError as error:
        if error.errno in NOT_PLAIN:
            raise Odd(name) from None
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_number(name: str) -> bool:
    """Whether it is a number as borg writes it into a name."""
    return name.isascii() and name.isdigit() and (name == '0' or name[0] != '0') and len(name) <= 18


def last_index(names: Iterable[str]) -> int | None:
    """The number in the name of the newest index, as borg finds it (borg/repository.py, get_index_transaction_id). None if there is none."""
    return max((int(number) for kind, _, number in (name.partition('.') for name in names) if kind == 'index' and is_number(number)), default=None)


def is_there(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
