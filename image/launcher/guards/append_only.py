"""Keeps the promise of `serve --append-only`."""

from borg.remote import RepositoryServer


class AppendOnlyServer(RepositoryServer):
    """Under `serve --append-only` borg opens a repository without append-only if the client asks to create it. It goes on with that object
    even if it has refused to create the repository because it exists already. A client that is not borg could send open(create=True) and
    then destroy(), and everything was gone (tried with 1.2.4; the code of 1.4.0 is the same)."""

    def open(self, *args, **kwargs):
        try:
            return super().open(*args, **kwargs)
        finally:
            if self.append_only and self.repository is not None:
                self.repository.append_only = True
