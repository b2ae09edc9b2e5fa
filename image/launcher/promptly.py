"""No client can hold up a program of root's that reads its messages.

A message may carry descriptors (SCM_RIGHTS of unix(7)). They are closed with the message if nobody takes them. A socket may be set to wait in
close() until its other end has read everything (SO_LINGER, socket(7)): the process that closes it last waits for that, unless it gets a signal."""

import signal

#: Seconds.
MOMENT = 0.01


class Promptly:
    """A context: a call in it that waits in the kernel waits only a moment."""

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, lambda *_: None)

    def __enter__(self) -> None:
        # Repeated, since the first signal may come before the call waits.
        signal.setitimer(signal.ITIMER_REAL, MOMENT, MOMENT)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
