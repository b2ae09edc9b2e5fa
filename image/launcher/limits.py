"""What the server has set for a session or a borg of its own: the words of sshd's forced command, and of whoever starts borg here.

    --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto … -- serve --umask 0007 …

What stands behind "--" is borg's command line. What stands before, in pairs, are the limits. --session is there for /proc/PID/cmdline
alone, where root recognises a session by address and port without the right to read its environment."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of a session."""

    account: str
    #: How many the account may have at once.
    sessions: int
    #: Bytes, or 'auto'.
    memory: str
    #: Bytes, or 'auto'; None: no floor.
    min_free: str | None
    #: How many an account with several may make; None: it has one, or is an admin.
    repositories: int | None


@dataclasses.dataclass(frozen=True)
class Reach:
    """Of a borg that the server runs itself (confinement.py, confine_own)."""

    root: str
    repository: str
    base: str
    reach: str


@dataclasses.dataclass(frozen=True)
class Command:
    """One start of the launcher. Nothing before "--" is borg as the operator runs it here: without limits."""

    borg: list[str]
    limits: Limits | None
    reach: Reach | None
    #: 'required', 'auto' or 'entries' (confinement.py).
    box: str
    #: Without the quota, and patient.
    maintenance: bool

    @property
    def serves(self) -> bool:
        return self.borg[:1] == ['serve']

    @property
    def of_session(self) -> Limits:
        """The limits of a start that has some. Raises ValueError."""
        if self.limits is None:
            raise ValueError('these words set no limits for a session')
        return self.limits

    @property
    def repository(self) -> str:
        """The one that may be opened; '' where it may be several."""
        return self._behind('--restrict-to-repository')

    @property
    def folder(self) -> str:
        """Below which several may be opened; '' where it is one."""
        return self._behind('--restrict-to-path')

    @property
    def own_path(self) -> str:
        """For the URL of a repository that the account may open."""
        return self.repository or (self.folder + '/NAME' if self.folder else '')

    @property
    def is_admin(self) -> bool:
        return not self.repository and (self.limits is None or self.limits.repositories is None)

    def _behind(self, option: str) -> str:
        return next((after for word, after in zip(self.borg, self.borg[1:]) if word == option), '')


def read(words: list[str]) -> Command:
    """words: those that the program was started with. Raises ValueError where there is no "--", or a number is none."""
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
    return Command(borg, limits, reach, options.get('--box', 'auto'), maintenance)
