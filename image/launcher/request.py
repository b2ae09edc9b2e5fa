"""What a client has asked for, in words. Nothing here imports borg, opens a file or decides more than between three answers."""

import os
import re

# Words that a borg client sends behind "serve" to set how much its server tells it. Everything else it may send decides nothing.
LOG_LEVELS = ('--critical', '--error', '--warning', '--info', '--debug')
VARIABLE = re.compile('[A-Za-z_][A-Za-z0-9_]*=')
#: As many as the session host's client hands on (../session-client).
MOST_BYTES = 4096


def words_of(command: str) -> list[str]:
    """The words of the command that the client asked for, without quotes. It is split, compared with fixed words, and never handed on."""
    said = os.fsdecode(os.fsencode(command)[:MOST_BYTES])
    words = [word.strip('\'"') for word in said.split()]
    while words and VARIABLE.match(words[0]):
        words.pop(0)  # as borg does: VARIABLE=value before the program
    return words


def asks_for_version(words: list[str]) -> bool:
    """`ssh ACCOUNT@HOST borg14 --version` is how users of hosted borg test a server; plain borg serve would wait for ever."""
    program = words[0].replace('\\', '/').rpartition('/')[2] if words else ''
    return len(words) == 2 and program.startswith('borg') and words[1] in ('--version', '-V')


def asks_for_serve(words: list[str]) -> bool:
    """Whatever a client calls borg on the server (--remote-path may hold several words), the word behind it is serve."""
    return 'serve' in words[1:]


def asks_for_borg2(words: list[str]) -> bool:
    """borg 2 asks for `borg serve --rest`."""
    return '--rest' in words


def log_levels(words: list[str]) -> list[str]:
    """As plain borg serve does, let the client choose how much its own server tells it: `borg check -v` shows the server's progress only
    then. The last one counts."""
    return [word for word in words if word in LOG_LEVELS]
