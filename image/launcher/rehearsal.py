"""Does once in the host what each session does before its first answer. Python has then loaded, compiled and specialised the code for it, and no
session pays for that with time, or with its own copy in memory. The rehearsal has no other effect."""

import os
from collections.abc import Iterable

from borg.helpers import sysinfo

from launcher import limits, request
from launcher.guards.memory import Allowance
from launcher.outcome import Outcome


def rehearse(roles: Iterable[tuple[str, ...]]) -> None:
    """roles: the words of each role."""
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
    # borg's answer to every error names its FUSE library, too, and borg loads that library only then: from the disk, perhaps while borg is being
    # upgraded there. A server needs no FUSE.
    os.environ['BORG_FUSE_IMPL'] = 'none'
    sysinfo()
