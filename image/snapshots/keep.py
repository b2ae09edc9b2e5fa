"""How a file of a repository becomes a file of its snapshot."""

import dataclasses
import errno
import fcntl
import os
import stat

from snapshots.folders import PLAIN, Changed, Odd, opened

#: What a file that is shared by a repository and its snapshots has: root's, and readable to the repository's group. Its account can still
#: remove its own name of it (borg does that when it compacts), and neither write to it nor change this. borg never writes to a committed
#: segment: it makes a new one (borg/repository.py, "LoggedIO is append only").
KEPT_MODE = 0o440

#: What everything else in a repository has, as src/repositories/modes.ts gives it.
FOLDER_MODE, FILE_MODE = 0o2770, 0o660

#: What a shared file is: nobody can write to it; somebody has it open for writing; its account can write to it, since the file system keeps no
#: owners; or nobody knows, since it has no leases.
CLOSED, WRITTEN_TO, NO_OWNER, UNKNOWN = 'closed', 'written-to', 'no-owner', 'unknown'

#: Refusals of file systems that keep no owners.
NO_OWNERS = (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
ACL = 'system.posix_acl_access'


@dataclasses.dataclass(frozen=True)
class Owner:
    """Whose a repository is. uid, gid: the account's; admins: the admins' uid."""

    uid: int
    gid: int
    admins: int

    def has(self, status: os.stat_result) -> bool:
        """Whether root may make it its own. A name in a repository may also be that of somebody else's file: the account moves it there, or makes
        a link of it where the kernel allows that (fs.protected_hardlinks). Root's are only those that are shared already."""
        if not stat.S_ISREG(status.st_mode) or status.st_gid != self.gid:
            return False
        return status.st_uid == self.uid or status.st_uid == self.admins and status.st_nlink == 1 or is_kept(status)


def is_kept(status: os.stat_result) -> bool:
    return status.st_uid == 0 and stat.S_IMODE(status.st_mode) == KEPT_MODE


@dataclasses.dataclass(frozen=True)
class Shared:
    inode: int
    size: int
    #: CLOSED, WRITTEN_TO, NO_OWNER or UNKNOWN
    state: str


def share(name: str, folder: int, into: int, owner: Owner, leases: bool) -> Shared:
    """Gives the file a second name in the snapshot, and makes it root's. folder, into: descriptors. leases: see has_leases. Raises Changed, Odd and
    OSError."""
    with opened(name, PLAIN, folder) as file:
        before = os.fstat(file)
        if not owner.has(before):
            raise Odd(name)
        try:
            # By the descriptor: the name may be somebody else's file by now. And first: a file of root's that has one name is taken for one that
            # borg left when it ran as root, and is given to the account (src/repositories/modes.ts).
            os.link('/proc/self/fd/%d' % file, name, dst_dir_fd=into, follow_symlinks=True)
        except (FileNotFoundError, FileExistsError):
            raise Changed from None
        except OSError as error:
            if error.errno == errno.EMLINK:
                raise Odd(name) from None
            raise
        state = protect(file, owner, leases)
        return Shared(before.st_ino, before.st_size, state)


def protect(file: int, owner: Owner, leases: bool) -> str:
    if not is_kept(os.fstat(file)):
        try:
            # First the mode: if this process is killed in between, no file of root's is left that others may write.
            os.fchmod(file, KEPT_MODE)
            os.fchown(file, 0, owner.gid)
            # A mode leaves the rights of others whom an ACL names.
            remove_acl(file)
            # Until the owner changed, the account could change the mode back.
            os.fchmod(file, KEPT_MODE)
        except OSError as error:
            if error.errno not in NO_OWNERS:
                raise
        if not is_kept(os.fstat(file)):
            return NO_OWNER
    return lease(file) if leases else UNKNOWN


def remove_acl(file: int) -> None:
    try:
        os.removexattr(file, ACL)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise


def has_leases(folder: int) -> bool:
    """Whether a read lease says anything on this file system. Network file systems refuse one in the same words as for a file that is written to.
    folder: a descriptor of one that only root can reach."""
    name = '.lease'
    with opened(name, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, folder) as file:
        os.unlink(name, dir_fd=folder)
        return lease(file) == CLOSED


def lease(file: int) -> str:
    """Whoever has a file open for writing can go on, whoever owns it now. The kernel gives no read lease on such a file (fcntl(2), F_SETLEASE),
    also if it is only mapped, or if its descriptor is on its way to another process."""
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return WRITTEN_TO if error.errno == errno.EAGAIN else UNKNOWN
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return CLOSED


def copy(name: str, folder: int, into: int, most: int, owner: Owner) -> int:
    """Copies a small file, and does not wait for the disk. Returns its size in bytes. Raises Changed, Odd (also if it has more than `most` bytes)
    and OSError."""
    with opened(name, PLAIN, folder) as file:
        before = os.fstat(file)
        if not owner.has(before) or before.st_size > most:
            raise Odd(name)
        with opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, into) as to:
            left = most + 1
            while left > 0 and (part := os.read(file, min(left, 1 << 20))):
                left -= len(part)
                write_all(to, part)
        # borg overwrites a former config with random bytes once it has renamed a new one: this descriptor may have become the former one.
        if facts(os.fstat(file)) != facts(before) or not is_named(name, folder, before):
            raise Changed
        return before.st_size


def copy_own(name: str, folder: int, into: int, owner: Owner) -> None:
    """Copies a small file of root's for its account. folder: one that only root can reach."""
    with opened(name, PLAIN, folder) as file, opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, into) as to:
        while part := os.read(file, 1 << 20):
            write_all(to, part)
        hand_over(to, owner, FILE_MODE)


def hand_over(descriptor: int, owner: Owner, mode: int) -> None:
    """Where the file system keeps no owners, nothing is to be done."""
    try:
        # In this order: a change of the owner takes bits of the mode away.
        os.fchown(descriptor, owner.uid, owner.gid)
        os.fchmod(descriptor, mode)
    except OSError as error:
        if error.errno not in NO_OWNERS:
            raise


def facts(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink


def is_named(name: str, folder: int, status: os.stat_result) -> bool:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)


def write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
