"""renameat2(2). Python has no call for it."""

import ctypes
import errno
import os

from snapshots.take import Failed

NOREPLACE, EXCHANGE = 1, 2


def rename(name: str, above: int, other: str, other_above: int, flags: int) -> None:
    """Moves an entry to a place where nothing is (NOREPLACE), or exchanges two (EXCHANGE), in one step.

    Raises OSError and Failed, and nothing has changed then: 'no-exchange' (the file system has no such step); 'elsewhere' (on another file system, or
    of another project of a quota); 'changed' (something, or nothing, is there)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(above, os.fsencode(name), other_above, os.fsencode(other), flags) == 0:
        return
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS):
        raise Failed('no-exchange')
    if number in (errno.EXDEV, errno.EBUSY):
        raise Failed('elsewhere')
    if number in (errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
        raise Failed('changed')
    raise OSError(number, os.strerror(number))
