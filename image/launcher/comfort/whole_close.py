"""A repository is closed wholly, or not at all."""

import signal

from borg.repository import Repository

#: Those that end a session.
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class WholeCloseRepository(Repository):
    """Whoever is told to end while it gives its lock back, since its client has just closed the connection, would leave a part of the lock behind:
    borg gives back a second time only what it has whole. The signal comes a moment later."""

    def close(self):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            super().close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
