"""Nobody whose messages a program of root's reads holds it up.

A message may carry descriptors (SCM_RIGHTS of unix(7)), which are closed with it where nobody takes them. A socket may be set to be closed only
once its other end has read all (SO_LINGER, socket(7)): whoever closes it last waits for that, unless he gets a signal."""

import signal

#: Seconds.
MOMENT = 0.01


class Promptly:
    """What waits in the kernel within it waits no longer than a moment."""

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, lambda *_: None)

    def __enter__(self) -> None:
        # Again and again: the first may come before it waits.
        signal.setitimer(signal.ITIMER_REAL, MOMENT, MOMENT)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
