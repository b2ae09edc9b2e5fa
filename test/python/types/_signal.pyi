from collections.abc import Callable

SIG_DFL: int
SIG_IGN: int

def getsignal(signalnum: int, /) -> Callable[..., object] | int | None: ...
def signal(signalnum: int, handler: Callable[..., object] | int | None, /) -> Callable[..., object] | int | None: ...
