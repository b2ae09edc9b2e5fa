"""What a client is told if it asks for anything but `borg serve`."""

import sys

from launcher import request
from launcher.ending import end
from launcher.own_url import url

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import NoReturn

REST = ('This server has borg %s and serves no other version. Use its repositories with borg 1: borg init -e repokey-blake2 %s\n'
        'borg 2 can copy the archives of such a repository: borg2 transfer --from-borg1 --other-repo %s')


def is_to_be_served(words: list[str], path: str) -> bool:
    """False if the client asked for the version: it then has its whole answer. Ends the session if it asked for something else. words: those of
    its command (request.py); path: a repository that the account may open."""
    if request.asks_for_version(words):
        tell_version()
        return False
    if not request.asks_for_serve(words):
        refuse(path)
    if request.asks_for_borg2(words):
        refuse_borg2(path)
    return True


def tell_version() -> None:
    from borg import __version__

    print('borg ' + __version__)


def refuse(path: str) -> 'NoReturn':
    sys.exit('This account is for BorgBackup only: there is no shell, no sftp and no other command here.\n'
             'Use it as a repository: borg init -e repokey-blake2 ' + url(path))


def refuse_borg2(path: str) -> 'NoReturn':
    """`borg2` asks for `borg serve --rest`. If the answer came in another protocol, it would only say that it is unexpected."""
    from borg import __version__

    end(REST % (__version__, url(path), url(path)))
