"""Ending a session with a sentence."""

import sys
import time
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import NoReturn


def end(sentence: str, leave: "Callable[[int], NoReturn]" = sys.exit) -> 'NoReturn':
    """Ends a session that borg's own client has asked for. The sentence comes half a second before the end: if both came at once, that client
    might see the end first, and say only that the connection was closed."""
    print(sentence, file=sys.stderr, flush=True)
    time.sleep(0.5)
    leave(1)
