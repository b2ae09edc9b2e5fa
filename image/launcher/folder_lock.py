"""One session at a time, where several come to the same folder."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Generator

# Seconds until a session gives up, which somebody else keeps from going on.
MOST_WAITING = 10


@contextlib.contextmanager
def one_at_a_time(folder: str) -> Generator[None, None, None]:
    """Of all sessions that come here with the same folder. None can hold up another for long, whatever it waits for itself."""
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
                    raise Error('another session is at the same here, and does not come to its end') from None
                time.sleep(0.05)
            except OSError as err:
                # Not every network file system has locks.
                if err.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                    raise
                break
        yield
    finally:
        os.close(descriptor)
