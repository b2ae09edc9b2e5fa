"""What somebody is told who asked for something else than to be served."""

import sys

from launcher.ending import end
from launcher.own_url import url

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import NoReturn

REST = ('This server has borg %s, and serves it only. Use a repository of it with borg 1: borg init -e repokey-blake2 %s\n'
        'borg 2 can take over what is in it: borg2 transfer --from-borg1 --other-repo %s')


def tell_version() -> None:
    from borg import __version__

    print('borg ' + __version__)


def refuse(path: str) -> 'NoReturn':
    """path: of a repository that the account may open."""
    sys.exit('This account is for BorgBackup only: there is no shell, no sftp and no other command here.\n'
             'Use it as a repository: borg init -e repokey-blake2 ' + url(path))


def refuse_borg2(path: str) -> 'NoReturn':
    """`borg2` asks for `borg serve --rest`, and of an answer in another protocol it only says that it is unexpected."""
    from borg import __version__

    end(REST % (__version__, url(path), url(path)))
