"""borg's main() in the session host: begun once, and gone on with by each session.

What main() does before it serves is the same for all: it sets its streams up, its signals and its log, reads its words, and looks whether it is
whole. In its place for a server stands the host's loop. A session leaves that loop where it was forked, and serves from there: with the words of
its role, and with what main() makes of any end of it."""

import atexit
import dataclasses
import gc
import logging
import os
import signal
import sys
from _signal import SIG_IGN, getsignal  # what is in signal makes enums of all handlers, and an error of each that is a function
from _signal import signal as set_handler
from collections.abc import Callable

import borg.archiver
from borg.remote import RepositoryServer

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import Any, NoReturn

#: What each role says for itself, and main() has done nothing with before it serves, but for the umask.
OWN = frozenset(('restrict_to_paths', 'restrict_to_repositories', 'append_only', 'storage_quota', 'umask'))
#: Those that main() handles. The host itself has other answers to them.
SIGNALS = tuple(map(int, (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)))
#: Whatever closes a descriptor by its number when nobody refers to it any more: that number may be somebody else's by then.
KEPT: list[object] = []


class Forked(BaseException):
    """Leaves the host's loop, in a child of it. Its one argument makes a session of that process, and returns how it serves."""


@dataclasses.dataclass(frozen=True)
class Start:
    """What borg has read in the words of a role, $USER as it stands."""

    umask: int
    own: 'dict[str, Any]'

    def of(self, name: str, quota: int | None) -> 'dict[str, Any]':
        """For borg's server, of this account. quota: bytes; None: that of the role."""
        own = {key: [each.replace('$USER', name) for each in value] if isinstance(value, list) else value for key, value in self.own.items()}
        return own if quota is None else {**own, 'storage_quota': quota}


def read(words: list[str]) -> Start | None:
    """words: borg's, of a role. None where they ask for more than to serve within bounds (`--show-rc`, `--debug-topic`): main() has begun without
    that. Ends with a sentence of borg's where it does not know them."""
    said, plain = facts_of(words), facts_of(['serve'])
    if {key for key in said.keys() | plain.keys() if said.get(key) != plain.get(key)} - OWN:
        return None
    return Start(said['umask'], {key: said[key] for key in OWN - {'umask'}})


def facts_of(words: list[str]) -> 'dict[str, Any]':
    return vars(borg.archiver.Archiver().get_args(['borg', *words], None))


def begin(loop: Callable[[], None]) -> 'NoReturn':
    """loop: the host's. Ends with SystemExit, or what borg lets through: in the host itself, and in each session."""

    class Place(RepositoryServer):
        """Where main() serves."""

        def __init__(self, **_: object) -> None:
            pass

        def serve(self) -> None:
            handlers = [(each, getsignal(each)) for each in SIGNALS]
            # A second main() would put others in their place, on the same buffers.
            KEPT.extend((sys.stdout, sys.stderr))
            try:
                return loop()
            except Forked as forked:
                (become,) = forked.args
            # Not in there: whatever ends the session would show the host's loop as its cause.
            serve = become()
            for number, handler in handlers:
                set_handler(number, handler)
            serve()

    borg.archiver.RepositoryServer = Place
    sys.argv = ['borg', 'serve']
    borg.archiver.main()
    sys.exit()


def begin_anew(run: Callable[[], None]) -> None:
    """run: another main(), in a session whose words the host's knew nothing of."""
    # borg enters it once in a process.
    borg.archiver.sig_int = type(borg.archiver.sig_int)()
    run()


def serve(server: type[RepositoryServer], start: Start, name: str, quota: int | None, level: str) -> None:
    """Goes on where main() would serve. level: of what the client wants to be told, '' where it has not said. Gives nothing back: what main() does
    after that is for others than servers."""
    os.umask(start.umask)
    if level:
        logging.getLogger().setLevel(level.upper())
    server(**start.of(name, quota)).serve()
    leave(0)


def leave(code: int) -> 'NoReturn':
    """Ends the process as Python does, but for what belongs to the host."""
    try:
        # Whoever wants it to end a second time waits for what it gives back.
        for each in (signal.SIGTERM, signal.SIGHUP):
            set_handler(each, SIG_IGN)
        atexit._run_exitfuncs()
        # What borg has open, a lock above all, it gives back when its objects are freed.
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        code = code or 1
    finally:
        os._exit(code if 0 <= code < 256 else 1)


def code_of(err: BaseException) -> int:
    """Of what has come through, as Python itself does."""
    if not isinstance(err, SystemExit):
        sys.excepthook(type(err), err, err.__traceback__)
        return 1
    if err.code is None or isinstance(err.code, int):
        return err.code or 0
    print(err.code, file=sys.stderr)
    return 1
