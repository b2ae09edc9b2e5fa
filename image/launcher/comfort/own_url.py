"""Tells a client that asked for another path the URL of its repository. The operator's settings say how clients reach the server."""

from borg.remote import PathNotAllowed, RepositoryServer

from launcher.own_url import url


def sentence(repositories, folders):
    """Says only what the client may know: its account, and where a server of this kind keeps its repository."""
    if repositories:
        return 'The repository of this account is ' + url(repositories[0])
    if folders:
        return 'The repositories of this account are %s/NAME' % url(folders[0])
    return 'There is no repository here for this account.'


class OwnUrlServer(RepositoryServer):
    """The refusal of a path names the account's own path: the client may have moved here from another hoster."""

    def open(self, path, *args, **kwargs):
        try:
            return super().open(path, *args, **kwargs)
        except PathNotAllowed as refusal:
            asked = refusal.args[0]
        # borg's own client shows this text as it is. It might end before it has read a line on standard error.
        raise PathNotAllowed('%s\n%s' % (asked, sentence(self.restrict_to_repositories, self.restrict_to_paths)))
