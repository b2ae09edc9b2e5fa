"""Ending a session with a sentence."""

import sys
import time
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import NoReturn


def end(sentence: str, leave: "Callable[[int], NoReturn]" = sys.exit) -> 'NoReturn':
    """Ends a session that borg's own client has asked for. Where the sentence and the end come at once, that client may look at the end
    first, and then says only that the connection was closed."""
    print(sentence, file=sys.stderr, flush=True)
    time.sleep(0.5)
    leave(1)
