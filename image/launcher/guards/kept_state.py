"""What an admin's session does to a repository can be taken back: the server keeps its state before."""

from borg.repository import Repository

from launcher.keeping import Keeping


class KeptStateRepository(Repository):
    """keeping: the session's way to the server, or None."""

    keeping: Keeping | None

    def open(self, path, *args, **kwargs):
        if self.keeping is not None:
            self.keeping.keep(path)
        return super().open(path, *args, **kwargs)
