"""What somebody is told who asked for something else than to be served."""

import sys

from launcher import request
from launcher.ending import end
from launcher.own_url import url

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import NoReturn

REST = ('This server has borg %s, and serves it only. Use a repository of it with borg 1: borg init -e repokey-blake2 %s\n'
        'borg 2 can take over what is in it: borg2 transfer --from-borg1 --other-repo %s')


def is_to_be_served(words: list[str], path: str) -> bool:
    """False where the client has got its whole answer, a version. Ends where it has asked for something else. words: of its command
    (request.py); path: of a repository that the account may open."""
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
    """`borg2` asks for `borg serve --rest`, and of an answer in another protocol it only says that it is unexpected."""
    from borg import __version__

    end(REST % (__version__, url(path), url(path)))
