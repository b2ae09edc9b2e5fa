"""What a client is told that asked for a repository that is not its own, as after moving from another hoster: its URL here."""

import functools
import os

from borg.remote import PathNotAllowed, RepositoryServer


def sentence(account, repositories, folders):
    """Says nothing but what the client knows: its account, and how a server of this kind calls its repository."""
    here = 'ssh://%s@HOST' % account
    if repositories:
        return 'The repository of this account is %s%s' % (here, repositories[0])
    if folders:
        return 'The repositories of this account are %s%s/NAME' % (here, folders[0])
    return 'There is no repository here for this account.'


def install():
    open_repository = RepositoryServer.open

    @functools.wraps(open_repository)
    def open_or_name_own(self, path, *args, **kwargs):
        try:
            return open_repository(self, path, *args, **kwargs)
        except PathNotAllowed as refusal:
            asked = refusal.args[0]
        # borg's own client shows this as it stands: a line on standard error it may not come to read before it ends.
        own = sentence(os.environ.get('USER', ''), self.restrict_to_repositories, self.restrict_to_paths)
        raise PathNotAllowed('%s\n%s' % (asked, own))

    RepositoryServer.open = open_or_name_own
