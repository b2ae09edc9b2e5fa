"""What the server has set for a session, or for a borg of its own: the words of sshd's forced command, or of the program that starts borg.

    --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto … -- serve --umask 0007 …

After "--" comes borg's command line. Before it come the limits, in pairs. --session is only for /proc/PID/cmdline: there root recognises a
session by address and port, without the right to read its environment."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of a session."""

    account: str
    #: How many sessions the account may have at once.
    sessions: int
    #: Bytes, or 'auto'.
    memory: str
    #: Bytes, or 'auto'; None: no floor.
    min_free: str | None
    #: How many repositories the account may make; None: it has only one, or is an admin.
    repositories: int | None


@dataclasses.dataclass(frozen=True)
class Reach:
    """What a borg that the server runs itself can reach (confinement.py, confine_own)."""

    root: str
    repository: str
    base: str
    reach: str


@dataclasses.dataclass(frozen=True)
class Command:
    """One start of the launcher. If nothing comes before "--", it is borg as the operator runs it here: without limits."""

    borg: list[str]
    limits: Limits | None
    reach: Reach | None
    #: 'required', 'auto' or 'entries' (confinement.py).
    box: str
    #: Whether it ignores the quota, and waits long for the lock.
    maintenance: bool
    #: The descriptor of a borg of the operator's over which it asks the server (keeping.py); None: it asks nothing.
    ask: int | None = None

    @property
    def serves(self) -> bool:
        return self.borg[:1] == ['serve']

    @property
    def of_session(self) -> Limits:
        """The limits. Raises ValueError if this start has none."""
        if self.limits is None:
            raise ValueError('these words set no limits for a session')
        return self.limits

    @property
    def repository(self) -> str:
        """The only repository that may be opened; '' if there may be several."""
        return self._behind('--restrict-to-repository')

    @property
    def folder(self) -> str:
        """The folder below which several repositories may be opened; '' if there is only one."""
        return self._behind('--restrict-to-path')

    @property
    def own_path(self) -> str:
        """The path for the URL of a repository that the account may open."""
        return self.repository or (self.folder + '/NAME' if self.folder else '')

    @property
    def is_admin(self) -> bool:
        return not self.repository and (self.limits is None or self.limits.repositories is None)

    @property
    def asks(self) -> bool:
        """Whether it asks the server before it makes anything final: an admin's session always."""
        return self.ask is not None or (self.serves and self.is_admin)

    def _behind(self, option: str) -> str:
        return next((after for word, after in zip(self.borg, self.borg[1:]) if word == option), '')


def read(words: list[str]) -> Command:
    """words: the arguments of the program. Raises ValueError if there is no "--", or a number is not one."""
    end = words.index('--')
    before, borg = words[:end], words[end + 1:]
    maintenance = before[:1] == ['--maintenance']
    if maintenance:
        before = before[1:]
    options = dict(zip(before[::2], before[1::2]))
    limits = reach = None
    if '--sessions' in options:
        repositories = options.get('--repositories')
        limits = Limits(options['--account'], int(options['--sessions']), options['--memory'], options.get('--min-free'),
                        None if repositories is None else int(repositories))
    if '--reach' in options:
        reach = Reach(*(options['--' + each] for each in ('root', 'repository', 'base', 'reach')))
    ask = options.get('--ask')
    return Command(borg, limits, reach, options.get('--box', 'auto'), maintenance, None if ask is None else int(ask))
