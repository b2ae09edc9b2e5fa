"""A repository is closed completely, or not at all."""

import signal

from borg.repository import Repository

#: Those that end a session.
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class WholeCloseRepository(Repository):
    """A session may get the signal to end while it gives its lock back, since its client has just closed the connection. It would leave a part of
    the lock behind: borg releases a lock a second time only if it still has all of it. So the signal waits until the repository is closed."""

    def close(self):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            super().close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
