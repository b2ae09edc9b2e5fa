"""What each session does before its first answer, done once in the host: Python has then loaded, compiled and specialised what that takes, and
no session pays for it with time or with a copy of its own in memory. Nothing here leaves a trace but that."""

import os
from collections.abc import Iterable

from borg.helpers import sysinfo

from launcher import limits, request
from launcher.guards.memory import Allowance
from launcher.outcome import Outcome


def rehearse(roles: Iterable[tuple[str, ...]]) -> None:
    """roles: the words of each."""
    for asked in ('borg serve --info', 'BORG_X=1 /usr/bin/borg --version', 'ls'):
        said = request.words_of(asked)
        request.asks_for_version(said)
        request.asks_for_serve(said)
        request.asks_for_borg2(said)
        request.log_levels(said)
    for words in roles:
        command = limits.read([word.replace('$USER', 'rehearsal') for word in words])
        Allowance(command.of_session.memory)
        Outcome(command.own_path)
    # Every error is answered with what there is of FUSE, too, which borg loads only then: by the file that is on the disk in that moment, of a
    # borg that is just being upgraded perhaps. A server has none.
    os.environ['BORG_FUSE_IMPL'] = 'none'
    sysinfo()
