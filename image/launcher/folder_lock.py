"""A lock for work in a folder that several sessions may want to do at once."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Generator

# Seconds that a session waits for another one before it gives up.
MOST_WAITING = 10


@contextlib.contextmanager
def one_at_a_time(folder: str) -> Generator[None, None, None]:
    """Lets only one session at a time work with this folder. No session can hold up another for long, whatever it waits for itself."""
    from borg.helpers import Error

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        until = time.monotonic() + MOST_WAITING
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Error('another session is doing the same here, and does not finish') from None
                time.sleep(0.05)
            except OSError as err:
                # Not every network file system has locks.
                if err.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    raise
                break
        yield
    finally:
        os.close(descriptor)
