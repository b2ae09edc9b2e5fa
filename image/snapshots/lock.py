"""borg's exclusive lock, taken as borg takes it (borg/locking.py, ExclusiveLock.acquire): a folder that is made elsewhere and renamed. Who holds
it excludes every writer. borg is not loaded for it: that would take longer than the snapshot.

It is a courtesy and no protection: a borg that was taken over ignores it."""

import contextlib
import os
import time

from launcher.comfort.lock_folder import MODE
from snapshots.folders import FOLDER, Changed, Odd, opened
from snapshots.keep import FILE_MODE, Owner, hand_over

NAME = 'lock.exclusive'
#: Seconds for which it is held at most. A client waits for a second (borg's --lock-wait) before it gives up.
MOST_HELD = 0.5


class Lock:
    """Tries to take the lock, and waits for nobody. If this process is killed, borg finds that its PID is gone, and removes the lock.

    repository, making: descriptors of the repository's folder, and of an empty one on its file system that only root can reach. There the lock is
    made and given to its owner: in the repository's folder somebody could put another folder of root's in its place."""

    def __init__(self, repository: int, making: int, host_id: str, owner: Owner):
        self.repository, self.mine = repository, '%s.%d-0' % (host_id, os.getpid())
        #: made: one could be made. taken: it was free. held: it is ours now.
        self.made = self.taken = self.held = False
        self.begun, self.seconds = time.monotonic(), 0.0
        try:
            os.mkdir(NAME, 0o700, dir_fd=making)
            with opened(NAME, FOLDER, making) as folder:
                with opened(self.mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, folder) as file:
                    hand_over(file, owner, FILE_MODE)
                hand_over(folder, owner, MODE)
        except OSError:
            # A full disk: it is taken without the lock.
            self.remove(making)
            return
        self.made = True
        try:
            # Fails if there is a lock: it is never empty. Or a file, which the account may have put there.
            os.rename(NAME, NAME, src_dir_fd=making, dst_dir_fd=repository)
            self.taken = self.held = True
        except OSError:
            self.remove(making)

    def give_back_if_late(self) -> None:
        if self.held and time.monotonic() - self.begun > MOST_HELD:
            self.give_back()

    def give_back(self) -> None:
        """Somebody may have broken the lock meanwhile, and may have taken it: then theirs stays."""
        if self.held:
            self.held, self.seconds = False, time.monotonic() - self.begun
            self.remove(self.repository)

    def remove(self, above: int) -> None:
        # It may not be there, or not be ours. On a disk that fails it stays, and borg finds that its process is gone.
        with contextlib.suppress(OSError, Changed, Odd), opened(NAME, FOLDER, above) as folder:
            os.unlink(self.mine, dir_fd=folder)
        with contextlib.suppress(OSError):
            os.rmdir(NAME, dir_fd=above)
