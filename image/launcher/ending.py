"""Ending a session with a sentence."""

import sys
import time


def end(sentence, leave=sys.exit):
    """Ends a session that borg's own client has asked for. Where the sentence and the end come at once, that client may look at the end
    first, and then says only that the connection was closed."""
    print(sentence, file=sys.stderr, flush=True)
    time.sleep(0.5)
    leave(1)
