"""borg enters the repository before it looks at anything in it."""

import os

from borg.helpers import Error
from borg.repository import Repository

from launcher.confinement import SECOND, Session


class BoxedRepository(Repository):
    """box: the session's boxes (confinement.Session)."""

    box: Session

    def enter_box(self, path):
        try:
            self.box.enter(path)
        except FileNotFoundError:
            raise self.DoesNotExist(path) from None
        except NotADirectoryError:
            raise self.InvalidRepository(path) from None

    def create(self, path):
        if self.box.inside is not None and not self.box.is_inside(path):
            raise Error(SECOND)
        # The same steps as in borg, up to the folder; borg does the rest of its work inside the box.
        self.check_can_create_repository(path)
        if self.make_parent_dirs:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.mkdir(path)
        except FileExistsError:
            pass
        except FileNotFoundError as err:
            raise self.ParentPathDoesNotExist(path) from err
        self.enter_box(path)
        return super().create(path)

    def open(self, path, *args, **kwargs):
        self.enter_box(path)
        return super().open(path, *args, **kwargs)
