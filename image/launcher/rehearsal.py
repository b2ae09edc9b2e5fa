"""What each session does before its first answer, done once in the host: Python has then loaded, compiled and specialised what that takes, and
no session pays for it with time or with a copy of its own in memory. Nothing here leaves a trace but that."""

from launcher import limits, request
from launcher.guards.memory import Allowance
from launcher.outcome import Outcome


def rehearse(words: tuple[str, ...]) -> None:
    """words: of a role."""
    for asked in ('borg serve --info', 'BORG_X=1 /usr/bin/borg --version', 'ls'):
        said = request.words_of(asked)
        request.asks_for_version(said)
        request.asks_for_serve(said)
        request.asks_for_borg2(said)
        request.log_levels(said)
    command = limits.read([word.replace('$USER', 'rehearsal') for word in words])
    Allowance(command.of_session.memory)
    Outcome(command.own_path)
