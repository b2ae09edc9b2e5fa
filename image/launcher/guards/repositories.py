"""An account makes only so many repositories.

Each is a dozen files, and has the account's quota anew: made without end, they would use up inodes and disk. What is
counted are folders, since `borg init --make-parent-dirs` makes as many as fit into a path; not those of a repository, and
what that is only borg can say: below it borg makes no other."""

import os

from borg.repository import Repository

from launcher.depth import DEEPEST
from launcher.ending import end
from launcher.folder_lock import one_at_a_time


class CountedRepositories(Repository):
    """counted: the folder of the account; most_repositories: how many it may have there."""

    counted: str
    most_repositories: int

    def create(self, path):
        self.check_can_create_repository(path)
        folder, most = self.counted, self.most_repositories
        if os.path.relpath(path, folder).count('/') >= DEEPEST:
            # borg answers SystemExit with a traceback.
            end('A repository of this account lies at most %d folders deep on this server.' % DEEPEST, leave=os._exit)
        with one_at_a_time(folder):
            if self.count_folders(folder, most) + missing(path) > most:
                end('This account may have %d repositories and folders on this server, and not more '
                    '(the setting REPOSITORIES_PER_ACCOUNT).' % most, leave=os._exit)
            return super().create(path)

    def count_folders(self, top: str, most: int) -> int:
        found, left = 0, [top]
        while left and found < most:
            path = left.pop()
            try:
                below = [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue  # it has just been deleted, or is somebody else's
            if not self.is_repository(path):
                found += len(below)
                left += below
        return found


def missing(path: str) -> int:
    found = 0
    while not os.path.lexists(path):
        path, found = os.path.dirname(path), found + 1
    return found
