"""What the server has set for the sessions of its host: a file that root has written (src/sshd/session-terms.ts)."""

import dataclasses
import json

from launcher import install, limits, serving
from launcher.people import Person


@dataclasses.dataclass(frozen=True)
class Role:
    """words: the same as for a session that loads borg itself; $USER in them means the account. prepared: borg's classes with the guards
    of this role."""

    group: str
    gid: int
    words: tuple[str, ...]
    prepared: install.Prepared
    #: What borg has read in the words; None: each session reads its own.
    start: serving.Start | None
    #: How many sessions a user id may have; None if several accounts may have the same user id.
    most: int | None


class Terms:
    def __init__(self, path: str) -> None:
        """Raises OSError, and other errors if the content of the file is wrong."""
        with open(path) as file:
            found = json.load(file)
        self.doors: str = found['doors']
        self.passwd: str = found['passwd']
        #: The group of all accounts, if all have one user id; else None.
        self.shared_gid: int | None = found['sharedGid']
        #: Admins need their own two fields: the group of their role is not their primary group.
        self.admin_group: str = found['adminGroup']
        self.admin_gid: int = found['adminGid']
        #: In the order of sshd's Match blocks: the first role whose group a client is in counts.
        self.roles = [role_of(each, not self.shared and each['group'] != self.admin_group) for each in found['roles']]
        self.role_gids = frozenset(each.gid for each in self.roles)

    @property
    def shared(self) -> bool:
        return self.shared_gid is not None

    def role_of(self, groups: frozenset[int]) -> Role | None:
        return next((each for each in self.roles if each.gid in groups), None)

    def is_of(self, person: Person, role: Role) -> bool:
        """Whether the account has this role, by its line in passwd, as the server writes it (src/host/account-database.ts)."""
        return person.gid == (self.admin_gid if role.group == self.admin_group else role.gid)

    def own_gid(self, person: Person) -> int:
        """The account's own group. In passwd its primary group is its role: by that sshd knows what it may do. Its own group has the number of
        its uid."""
        if person.gid not in self.role_gids:
            return person.gid
        return person.uid if self.shared_gid is None else self.shared_gid


def role_of(found: dict, alone: bool) -> Role:
    words = tuple(found['words'])
    command = limits.read(list(words))
    most = command.of_session.sessions if alone else None
    return Role(found['group'], found['gid'], words, install.prepare(command), serving.read(command.borg), most)
