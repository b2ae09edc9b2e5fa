"""Which guards a call passes before it reaches borg, and in which order. This is the only place that says so.

borg makes a Repository in two places and a RepositoryServer in one, by the name of the class (tried with 1.2.4, 1.4.0 and 1.4.5). This module
gives those names to classes of this server. A call goes through the guards from the first in the list to the last, and then to borg."""

import dataclasses
import inspect
import os
from collections.abc import Callable

import borg.archiver
import borg.locking
import borg.remote
from borg.remote import RepositoryServer
from borg.repository import Repository

from launcher import rpc
from launcher.answers import HeardRepository, HeardServer, answered
from launcher.comfort import lock_folder
from launcher.comfort.free_space import FreeSpaceRepository
from launcher.comfort.keep_folder import KeptFolderRepository
from launcher.comfort.maintenance import UnboundedRepository
from launcher.comfort.own_url import OwnUrlServer
from launcher.comfort.read_only import ReadOnlyLock, ReadOnlyRepository
from launcher.comfort.whole_close import WholeCloseRepository
from launcher.confinement import Session
from launcher.guards.append_only import AppendOnlyServer
from launcher.guards.boxed import BoxedRepository
from launcher.guards.disk_floor import Disk, FloorRepository
from launcher.guards.inodes import SlowedRepository
from launcher.guards.kept_state import KeptStateRepository
from launcher.guards.keys import KeptConfigRepository, PlainKeyRepository
from launcher.guards.locks import LockedRepository, OneRepositoryServer
from launcher.guards.looked_at import LookedAtRepository
from launcher.guards.memory import Allowance, MemoryRepository, MemoryServer
from launcher.guards.names import NamedRepository
from launcher.guards.nonce import NonceRepository
from launcher.guards.paths import HiddenAccountsServer
from launcher.guards.quota import QuotaRepository
from launcher.guards.repositories import CountedRepositories
from launcher.keeping import Keeping
from launcher.limits import Command, Limits
from launcher.outcome import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from typing import TypeVar

    Guard = TypeVar('Guard', bound=type[Repository] | type[RepositoryServer])


def repository_guards(command: Command) -> tuple[type[Repository], ...]:
    """For this start of the launcher, the outermost first."""
    limits = command.limits
    return (
        # First, so that the server hears of the answer that the client gets in the end.
        *when(limits, HeardRepository),
        # Above all guards that undo what has begun: it only changes the words of an error.
        ReadOnlyRepository,
        # Before anything is made.
        *when(limits and limits.repositories is not None, CountedRepositories),
        # Before memory is used.
        *when(limits, MemoryRepository),
        # A session that waits here has not begun anything.
        *when(limits, SlowedRepository),
        *when(limits and limits.min_free is not None, FloorRepository),
        FreeSpaceRepository,
        *when(command.serves, NamedRepository),
        NonceRepository,
        PlainKeyRepository,
        # Everything below happens inside the box.
        *when(command.serves, BoxedRepository),
        # Before borg takes its lock: the snapshot takes it, too.
        *when(command.serves and command.is_admin, KeptStateRepository),
        # Whatever it clears, the guards below see.
        *when(command.asks, LookedAtRepository),
        # Not for `borg config` on the server, which is there to change the config.
        *when(command.serves, KeptConfigRepository),
        QuotaRepository,
        # Low in the list, since only short work may block signals: everything above may be interrupted.
        WholeCloseRepository,
        # Close to borg: so everything that a guard above writes is written with the lock.
        LockedRepository,
        KeptFolderRepository,
        *when(command.maintenance, UnboundedRepository),
    )


def server_guards(command: Command) -> tuple[type[RepositoryServer], ...]:
    """The same for the class with which borg serves a client."""
    return (
        *when(command.limits, HeardServer, MemoryServer),
        OwnUrlServer,
        HiddenAccountsServer,
        OneRepositoryServer,
        AppendOnlyServer,
    )


def when(wanted: object, *guards: 'Guard') -> 'tuple[Guard, ...]':
    return guards if wanted else ()


@dataclasses.dataclass(frozen=True)
class Prepared:
    """borg's two classes with the guards of one kind of start: of a role, or of a borg of the server's own."""

    repository: type[Repository]
    server: type[RepositoryServer]


def prepare(command: Command) -> Prepared:
    """Prepares what depends only on the kind of start, not on whose it is. From then on borg's locks are guarded, too."""
    repository = type('TenantRepository', (*repository_guards(command), Repository), {'outcome': None, 'memory': None, 'keeping': None})
    server = type('TenantServer', (*server_guards(command), RepositoryServer), {'outcome': None, 'memory': None})
    if command.serves:
        for name in RepositoryServer.rpc_methods:
            owner, original = (server, RepositoryServer) if hasattr(RepositoryServer, name) else (repository, Repository)
            method = getattr(owner, name)
            if command.limits and name in rpc.METHODS:
                method = answered(name, method)
            else:
                method = forwarded(method)
            # Otherwise borg would work out the parameters of a method for each message: 20 us.
            vars(method)['__signature__'] = inspect.signature(getattr(original, name))
            setattr(owner, name, method)
        # No calls that only a newer borg has.
        server.rpc_methods = tuple(name for name in RepositoryServer.rpc_methods if name in rpc.METHODS)
    borg.locking.ExclusiveLock = ReadOnlyLock
    lock_folder.share()
    return Prepared(repository, server)


def install(prepared: Prepared, command: Command, box: Session | None, outcome: Outcome | None, keeping: Keeping | None = None) -> None:
    """Installs the guards for the one session of this process. box: its boxes, or None; outcome: what it will tell the server, or None;
    keeping: how it asks the server about a repository, or None."""
    repository, server = prepared.repository, prepared.server
    limits = command.limits
    most = limits.repositories if limits else None
    memory = Allowance(limits.memory) if limits else None
    tell(repository, box=box, floor=floor_of(limits), counted=None if most is None else command.folder, most_repositories=most,
         outcome=outcome, memory=memory, keeping=keeping)
    tell(server, outcome=outcome, memory=memory)
    borg.remote.Repository = borg.archiver.Repository = repository
    borg.archiver.RepositoryServer = server


def tell(owner: type, **facts: object) -> None:
    """Sets facts on the class. Each guard declares those that it needs."""
    for name, value in facts.items():
        setattr(owner, name, value)


def forwarded(method: Callable[..., object]) -> Callable[..., object]:
    def call(self: object, *args: object, **kwargs: object) -> object:
        return method(self, *args, **kwargs)

    return call


def floor_of(limits: Limits | None) -> Disk | None:
    if limits is None or limits.min_free is None:
        return None
    # What the largest compaction needs, as the server has last measured it.
    try:
        with open(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'largest-compaction')) as file:
            need = int(file.read(32))
    except (OSError, ValueError):
        need = 0
    return Disk(limits.min_free, os.environ.get('BORG_BASE_DIR', '/'), need)
