"""Whether there may be sessions that this host has not begun: those of an earlier host, and those that load borg themselves. As long as there may
be some, each session looks in /proc for those of its account (crowd.py)."""

import os
import sys
import time
from collections.abc import Iterable

#: Seconds after which a client that begins a session by itself can be recognised by its command line, even on a busy machine.
ON_ITS_WAY = 60
PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'session-host')


class Others:
    """possible: whether there may be some. A separate process looks for them: so nothing that it reads stays in the host's memory."""

    def __init__(self, doors: Iterable[int]) -> None:
        """To be called once the doors are open. doors: the groups that reach them.

        Whoever came before is a client of an earlier host, or has found no door, and begins a session by itself. It cannot be recognised by its
        command line yet. So the first look is for every process that could have come before. Where there is one, the next look is due when such
        a client can be recognised."""
        self.possible = True
        self.look(doors)

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
            self.look()

    def look(self, doors: Iterable[int] = ()) -> None:
        #: Whether another client was turned away since that process began to look.
        self.more = False
        self.due = time.monotonic() + ON_ITS_WAY
        self.looks = look_for_others(doors)


def look_for_others(doors: Iterable[int]) -> int | None:
    """The pid of a process that ends with 0 if there are no such sessions; None if it cannot be started. It is not a fork: a fork would have a copy
    of all connections of the host."""
    nothing = [(os.POSIX_SPAWN_OPEN, each, os.devnull, os.O_RDWR, 0) for each in (0, 1, 2)]
    program = [sys.executable, '-I', PROGRAM, '--others', str(os.getpid()), *map(str, doors)]
    try:
        return os.posix_spawn(program[0], program, os.environ, file_actions=nothing)
    except OSError:
        return None
