"""How a file of a repository becomes a file of its snapshot."""

import contextlib
import errno
import fcntl
import os
import stat

from snapshots.folders import PLAIN, is_plain, opened

#: What a file that is shared by a repository and its snapshots has: root's, and readable to the repository's group. Its account can still
#: remove its own name of it (borg does that when it compacts), and neither write to it nor change this. borg never writes to a committed
#: segment: it makes a new one (borg/repository.py, "LoggedIO is append only").
KEPT_MODE = 0o440

#: Refusals of file systems that keep no owners, or share no file by two names.
NO_OWNERS = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)


class Changed(Exception):
    """Somebody has changed the repository meanwhile."""


class Odd(Exception):
    """Something that borg would not make."""

    def __init__(self, name: str):
        self.name = name


#: What nobody can write to, what somebody has open for writing, and what stays its account's since the file system keeps no owners.
CLOSED, WRITTEN_TO, NO_OWNER = 'closed', 'written-to', 'no-owner'


def share(name: str, folder: int, into: int, group: int) -> tuple[int, str]:
    """Gives the file a second name in the snapshot, and makes it root's.

    folder, into: descriptors. group: of the repository. Returns its size in bytes, and CLOSED, WRITTEN_TO or NO_OWNER. Raises Changed, Odd and
    OSError."""
    with found(name, folder) as file:
        state = protect(file, group)
        # By the descriptor: the name may be somebody else's file by now.
        os.link('/proc/self/fd/%d' % file, name, dst_dir_fd=into, follow_symlinks=True)
        return os.fstat(file).st_size, state


def protect(file: int, group: int) -> str:
    status = os.fstat(file)
    if status.st_uid != 0 or status.st_gid != group or stat.S_IMODE(status.st_mode) != KEPT_MODE:
        try:
            os.fchown(file, 0, group)
            os.fchmod(file, KEPT_MODE)
        except OSError as error:
            if error.errno in NO_OWNERS:
                return NO_OWNER
            raise
        after = os.fstat(file)
        if after.st_uid != 0 or stat.S_IMODE(after.st_mode) != KEPT_MODE:
            return NO_OWNER
    return WRITTEN_TO if is_written_to(file) else CLOSED


def is_written_to(file: int) -> bool:
    """Whether somebody has it open for writing: then he can go on, whoever owns it now. The kernel gives no read lease on such a file (fcntl(2),
    F_SETLEASE). Where there are no leases, nobody knows."""
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        return True
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def copy(name: str, folder: int, into: int, most: int) -> int:
    """Copies a small file. Returns its size in bytes. Raises Changed, Odd (also if it has more than `most` bytes) and OSError."""
    with found(name, folder) as file:
        size = os.fstat(file).st_size
        if size > most:
            raise Odd(name)
        data = read_all(file, most)
        with opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, into) as to:
            write_all(to, data)
        return len(data)


@contextlib.contextmanager
def found(name: str, folder: int):
    try:
        descriptor = os.open(name, PLAIN, dir_fd=folder)
    except FileNotFoundError:
        raise Changed from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Odd(name) from None
        raise
    try:
        if not is_plain(descriptor):
            raise Odd(name)
        yield descriptor
    finally:
        os.close(descriptor)


def read_all(file: int, most: int) -> bytes:
    data = b''
    while len(data) <= most and (part := os.read(file, 1 << 20)):
        data += part
    return data[:most]


def write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)
