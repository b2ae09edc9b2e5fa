"""Which guards stand before borg, and in which order: nowhere else is that said.

borg makes a Repository in two places and a RepositoryServer in one, by their names (tried with 1.2.4, 1.4.0 and 1.4.5): those names stand
for classes of this server. A call goes through the guards from the first that is named to the last, and then to borg."""

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
from launcher.guards.keys import KeptConfigRepository, PlainKeyRepository
from launcher.guards.locks import LockedRepository, OneRepositoryServer
from launcher.guards.memory import Allowance, MemoryRepository, MemoryServer
from launcher.guards.names import NamedRepository
from launcher.guards.nonce import NonceRepository
from launcher.guards.paths import HiddenAccountsServer
from launcher.guards.quota import QuotaRepository
from launcher.guards.repositories import CountedRepositories
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
        # What the client is answered in the end is what the server hears of.
        *when(limits, HeardRepository),
        # Above all that undoes what has begun: it only puts other words to it.
        ReadOnlyRepository,
        # Before anything is made.
        *when(limits and limits.repositories is not None, CountedRepositories),
        # Before memory is used.
        *when(limits, MemoryRepository),
        # Whoever waits here has not begun.
        *when(limits, SlowedRepository),
        *when(limits and limits.min_free is not None, FloorRepository),
        FreeSpaceRepository,
        *when(command.serves, NamedRepository),
        NonceRepository,
        PlainKeyRepository,
        # Everything below is done inside the box.
        *when(command.serves, BoxedRepository),
        # `borg config` on the server is there to change it.
        *when(command.serves, KeptConfigRepository),
        QuotaRepository,
        # Only what is short: all else may be interrupted.
        WholeCloseRepository,
        # Last before borg: whatever a guard above does, it does with the lock.
        LockedRepository,
        KeptFolderRepository,
        *when(command.maintenance, UnboundedRepository),
    )


def server_guards(command: Command) -> tuple[type[RepositoryServer], ...]:
    """The same for what borg serves a client with."""
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
    """What does not depend on whose start it is, only on its kind; borg's locks are guarded from then on, too."""
    repository = type('TenantRepository', (*repository_guards(command), Repository), {'outcome': None, 'memory': None})
    server = type('TenantServer', (*server_guards(command), RepositoryServer), {'outcome': None, 'memory': None})
    if command.serves:
        for name in RepositoryServer.rpc_methods:
            owner, original = (server, RepositoryServer) if hasattr(RepositoryServer, name) else (repository, Repository)
            method = getattr(owner, name)
            if command.limits and name in rpc.METHODS:
                method = answered(name, method)
            else:
                method = forwarded(method)
            # borg works out the parameters of a method for each message anew: 20 us.
            vars(method)['__signature__'] = inspect.signature(getattr(original, name))
            setattr(owner, name, method)
        # Whatever a newer borg would answer.
        server.rpc_methods = tuple(name for name in RepositoryServer.rpc_methods if name in rpc.METHODS)
    borg.locking.ExclusiveLock = ReadOnlyLock
    lock_folder.share()
    return Prepared(repository, server)


def install(prepared: Prepared, command: Command, box: Session | None, outcome: Outcome | None) -> None:
    """For the one session of this process. box: its boxes, or None; outcome: what it will say, or None."""
    repository, server = prepared.repository, prepared.server
    limits = command.limits
    most = limits.repositories if limits else None
    memory = Allowance(limits.memory) if limits else None
    tell(repository, box=box, floor=floor_of(limits), counted=None if most is None else command.folder, most_repositories=most,
         outcome=outcome, memory=memory)
    tell(server, outcome=outcome, memory=memory)
    borg.remote.Repository = borg.archiver.Repository = repository
    borg.archiver.RepositoryServer = server


def tell(owner: type, **facts: object) -> None:
    """Each guard names those that it needs."""
    for name, value in facts.items():
        setattr(owner, name, value)


def forwarded(method: Callable[..., object]) -> Callable[..., object]:
    def call(self: object, *args: object, **kwargs: object) -> object:
        return method(self, *args, **kwargs)

    return call


def floor_of(limits: Limits | None) -> Disk | None:
    if limits is None or limits.min_free is None:
        return None
    # What the largest compaction needs, as the server has last seen it.
    try:
        with open(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'largest-compaction')) as file:
            need = int(file.read(32))
    except (OSError, ValueError):
        need = 0
    return Disk(limits.min_free, os.environ.get('BORG_BASE_DIR', '/'), need)
