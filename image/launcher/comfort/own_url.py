"""The URL of a repository on this server, for a client that asked for something else: an operator's settings say where it is reached."""

from borg.remote import PathNotAllowed, RepositoryServer

from launcher.own_url import url


def sentence(repositories, folders):
    """Says nothing but what the client knows: its account, and how a server of this kind calls its repository."""
    if repositories:
        return 'The repository of this account is ' + url(repositories[0])
    if folders:
        return 'The repositories of this account are %s/NAME' % url(folders[0])
    return 'There is no repository here for this account.'


class OwnUrlServer(RepositoryServer):
    """A refused path names the account's own, as after moving from another hoster."""

    def open(self, path, *args, **kwargs):
        try:
            return super().open(path, *args, **kwargs)
        except PathNotAllowed as refusal:
            asked = refusal.args[0]
        # borg's own client shows this as it stands: a line on standard error it may not come to read before it ends.
        raise PathNotAllowed('%s\n%s' % (asked, sentence(self.restrict_to_repositories, self.restrict_to_paths)))
