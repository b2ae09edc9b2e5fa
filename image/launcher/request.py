"""The words of the command that a client has asked for. Nothing here imports borg or opens a file. It only chooses one of three answers."""

import os
import re

# Words that a borg client sends after "serve" to set how much its server tells it. Any other word after "serve", but --rest, has no effect.
LOG_LEVELS = ('--critical', '--error', '--warning', '--info', '--debug')
VARIABLE = re.compile('[A-Za-z_][A-Za-z0-9_]*=')
#: The session host's client passes on as many (../session-client).
MOST_BYTES = 4096


def words_of(command: str) -> list[str]:
    """The words of the command that the client asked for, without quotes. They are only compared with fixed words, and never passed on."""
    said = os.fsdecode(os.fsencode(command)[:MOST_BYTES])
    words = [word.strip('\'"') for word in said.split()]
    while words and VARIABLE.match(words[0]):
        words.pop(0)  # as borg does: VARIABLE=value before the program
    return words


def asks_for_version(words: list[str]) -> bool:
    """Users of hosted borg test a server with `ssh ACCOUNT@HOST borg14 --version`. Plain borg serve would wait for ever."""
    program = words[0].replace('\\', '/').rpartition('/')[2] if words else ''
    return len(words) == 2 and program.startswith('borg') and words[1] in ('--version', '-V')


def asks_for_serve(words: list[str]) -> bool:
    """A client may call borg on the server by any name (--remote-path may be several words). The word serve comes after it."""
    return 'serve' in words[1:]


def asks_for_borg2(words: list[str]) -> bool:
    """borg 2 asks for `borg serve --rest`."""
    return '--rest' in words


def log_levels(words: list[str]) -> list[str]:
    """Lets the client choose how much its server tells it, as plain borg serve does: without that `borg check -v` would not show the server's
    progress. The last word counts."""
    return [word for word in words if word in LOG_LEVELS]
