"""borg's exclusive lock, taken as borg takes it (borg/locking.py, ExclusiveLock.acquire): a folder that is made beside it and renamed. Who holds
it excludes every writer. borg is not loaded for it: that would take longer than the snapshot.

It is a courtesy and no protection: a borg that was taken over ignores it."""

import contextlib
import errno
import os
import secrets
from collections.abc import Generator

from snapshots.folders import FOLDER, opened

NAME = 'lock.exclusive'
#: As the launcher has it (launcher/comfort/lock_folder.py): every account that shares the repository can wait for the lock, and break it.
MODE = 0o2770


@contextlib.contextmanager
def borgs_lock(repository: int, host_id: str) -> Generator[bool, None, None]:
    """Whether it was free, and is held now. Nobody waits. If this process is killed, borg finds that its PID is gone and removes the lock.

    repository: a descriptor of its folder. Raises OSError of any other kind than that somebody has the lock."""
    mine = '%s.%d-0' % (host_id, os.getpid())
    taken = take(repository, mine)
    try:
        yield taken
    finally:
        if taken:
            give_back(repository, mine)


def take(repository: int, mine: str) -> bool:
    half_made = '%s.%s.tmp' % (NAME, secrets.token_hex(4))
    owner = os.fstat(repository)
    os.mkdir(half_made, 0o700, dir_fd=repository)
    try:
        with opened(half_made, FOLDER, repository) as folder:
            with opened(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, folder) as file:
                os.fchown(file, owner.st_uid, owner.st_gid)
                os.fchmod(file, 0o660)
            os.fchown(folder, owner.st_uid, owner.st_gid)
            os.fchmod(folder, MODE)
        # Fails if there is a lock: it is never empty.
        os.rename(half_made, NAME, src_dir_fd=repository, dst_dir_fd=repository)
    except OSError as error:
        remove(repository, half_made, mine)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    return True


def give_back(repository: int, mine: str) -> None:
    """Somebody may have broken the lock meanwhile, and may have taken it: then theirs stays."""
    remove(repository, NAME, mine)


def remove(repository: int, name: str, mine: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, OSError):
        with opened(name, FOLDER, repository) as folder:
            os.unlink(mine, dir_fd=folder)
        os.rmdir(name, dir_fd=repository)
