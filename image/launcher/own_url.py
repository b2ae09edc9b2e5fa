"""The URL of a repository on this server, for a client that asked for something else: an operator's settings say where it is reached."""

import functools
import os


def url(path):
    """Of what lies at this path, for the account of this session. It names nothing but what the account may open."""
    # By sshd's configuration (SetEnv). No client can send a variable of this name: AcceptEnv is not there.
    return 'ssh://%s@%s%s' % (os.environ.get('USER', ''), os.environ.get('BORGSERVER_ADDRESS', 'HOST:PORT'), path)


def sentence(repositories, folders):
    """Says nothing but what the client knows: its account, and how a server of this kind calls its repository."""
    if repositories:
        return 'The repository of this account is ' + url(repositories[0])
    if folders:
        return 'The repositories of this account are %s/NAME' % url(folders[0])
    return 'There is no repository here for this account.'


def install():
    """A refused path names the account's own."""
    from borg.remote import PathNotAllowed, RepositoryServer

    open_repository = RepositoryServer.open

    @functools.wraps(open_repository)
    def open_or_name_own(self, path, *args, **kwargs):
        try:
            return open_repository(self, path, *args, **kwargs)
        except PathNotAllowed as refusal:
            asked = refusal.args[0]
        # borg's own client shows this as it stands: a line on standard error it may not come to read before it ends.
        own = sentence(self.restrict_to_repositories, self.restrict_to_paths)
        raise PathNotAllowed('%s\n%s' % (asked, own))

    RepositoryServer.open = open_or_name_own
