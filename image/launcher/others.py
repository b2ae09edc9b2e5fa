"""Whether there may be sessions that this host has not begun: those of an earlier host, and those that load borg themselves. As long as there may be,
each session looks for those of its account in /proc (crowd.py)."""

import os
import sys
import time

#: Seconds in which a client that begins a session by itself has come so far that its command line tells, on a busy machine, too.
ON_ITS_WAY = 60
PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'session-host')


class Others:
    """possible: whether there may be some. A process of its own looks: what it reads is not left in the memory of the host."""

    def __init__(self) -> None:
        self.possible = True
        self.due = time.monotonic()
        self.looks: int | None = None
        #: Whether somebody has come since it looks.
        self.more = False

    def may_come(self) -> None:
        """A client was turned away, or has given up: it begins a session by itself."""
        self.possible = self.more = True
        self.due = time.monotonic() + ON_ITS_WAY

    def pass_time(self) -> None:
        if self.looks is not None:
            pid, status = os.waitpid(self.looks, os.WNOHANG)
            if pid == 0:
                return
            self.looks = None
            self.possible = status != 0 or self.more
        elif self.possible and time.monotonic() >= self.due:
            self.more, self.due = False, time.monotonic() + ON_ITS_WAY
            self.looks = look_for_others()


def look_for_others() -> int | None:
    """The pid of a process that ends with 0 where there is none; None where it cannot be begun. A fork of the host would have a copy of all
    connections."""
    nothing = [(os.POSIX_SPAWN_OPEN, each, os.devnull, os.O_RDWR, 0) for each in (0, 1, 2)]
    program = [sys.executable, '-I', PROGRAM, '--others', str(os.getpid())]
    try:
        return os.posix_spawn(program[0], program, os.environ, file_actions=nothing)
    except OSError:
        return None
