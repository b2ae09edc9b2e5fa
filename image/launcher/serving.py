"""borg's main() in the session host: it begins once, in the host, and each session continues it.

What main() does before it serves is the same for all: it sets up its streams, signals and log, reads its words, and checks its installation. Then
it calls a server, and here that server is the host's loop. A session leaves that loop after its fork, and serves from there: with the words of its
role. main() handles its end as it does every end."""

import atexit
import dataclasses
import gc
import logging
import os
import signal
import sys
from _signal import SIG_IGN, getsignal  # those in signal try to make an enum of each handler, which costs an error if it is a function
from _signal import signal as set_handler
from collections.abc import Callable

import borg.archiver
from borg.remote import RepositoryServer

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import Any, NoReturn

#: The options that differ between roles. main() does nothing with them before it serves; it only sets the umask.
OWN = frozenset(('restrict_to_paths', 'restrict_to_repositories', 'append_only', 'storage_quota', 'umask'))
#: The signals that main() handles. The host itself handles them differently.
SIGNALS = tuple(map(int, (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)))
#: Keeps objects alive that close a descriptor by its number when nobody refers to them any more: another file may have that number by then.
KEPT: list[object] = []


class Forked(BaseException):
    """Raised to leave the host's loop, in a child of the host. Its one argument makes the child a session, and returns the function that serves."""


@dataclasses.dataclass(frozen=True)
class Start:
    """What borg has read in the words of a role. $USER is not replaced yet."""

    umask: int
    own: 'dict[str, Any]'

    def of(self, name: str, quota: int | None) -> 'dict[str, Any]':
        """The arguments for borg's server, for this account. quota: bytes; None: that of the role."""
        own = {key: [each.replace('$USER', name) for each in value] if isinstance(value, list) else value for key, value in self.own.items()}
        return own if quota is None else {**own, 'storage_quota': quota}


def read(words: list[str]) -> Start | None:
    """words: borg's words of a role. None if they also ask for something that main() does before it serves (`--show-rc`, `--debug-topic`): the host's
    main() began without it. If borg does not know the words, this process ends with a sentence from borg."""
    said, plain = facts_of(words), facts_of(['serve'])
    if {key for key in said.keys() | plain.keys() if said.get(key) != plain.get(key)} - OWN:
        return None
    return Start(said['umask'], {key: said[key] for key in OWN - {'umask'}})


def facts_of(words: list[str]) -> 'dict[str, Any]':
    return vars(borg.archiver.Archiver().get_args(['borg', *words], None))


def begin(loop: Callable[[], None]) -> 'NoReturn':
    """loop: the host's. Ends with SystemExit, or with an error that borg does not catch: in the host itself, and in each session."""

    class Place(RepositoryServer):
        """The server that main() calls."""

        def __init__(self, **_: object) -> None:
            pass

        def serve(self) -> None:
            handlers = [(each, getsignal(each)) for each in SIGNALS]
            # A second main() (begin_anew) replaces these by new ones on the same buffers. The old ones, if freed, would close the buffers.
            KEPT.extend((sys.stdout, sys.stderr))
            try:
                return loop()
            except Forked as forked:
                (become,) = forked.args
            # Outside the except: otherwise the error that ends the session would have Forked as its context.
            serve = become()
            for number, handler in handlers:
                set_handler(number, handler)
            serve()

    borg.archiver.RepositoryServer = Place
    sys.argv = ['borg', 'serve']
    borg.archiver.main()
    sys.exit()


def begin_anew(run: Callable[[], None]) -> None:
    """run: starts another main(), in a session with words that the host's main() did not have."""
    # borg can enter this only once in a process, so it gets a new one.
    borg.archiver.sig_int = type(borg.archiver.sig_int)()
    run()


def serve(server: type[RepositoryServer], start: Start, name: str, quota: int | None, level: str) -> None:
    """Continues where main() would serve. level: the client's log level, '' if it has not said one. Does not return: what main() does after serving
    is not for servers."""
    os.umask(start.umask)
    if level:
        logging.getLogger().setLevel(level.upper())
    server(**start.of(name, quota)).serve()
    leave(0)


def leave(code: int) -> 'NoReturn':
    """Ends the process as Python does, but leaves out what belongs to the host."""
    try:
        # A second signal must not interrupt it while it gives its locks back.
        for each in (signal.SIGTERM, signal.SIGHUP):
            set_handler(each, SIG_IGN)
        atexit._run_exitfuncs()
        # borg gives back what it has open, locks above all, when its objects are freed.
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        code = code or 1
    finally:
        os._exit(code if 0 <= code < 256 else 1)


def code_of(err: BaseException) -> int:
    """The exit code for an error that nobody caught, as Python itself gives it."""
    if not isinstance(err, SystemExit):
        sys.excepthook(type(err), err, err.__traceback__)
        return 1
    if err.code is None or isinstance(err.code, int):
        return err.code or 0
    print(err.code, file=sys.stderr)
    return 1
