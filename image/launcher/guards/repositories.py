"""Limits how many repositories an account makes.

Each is a dozen files, and each has the whole quota of the account: without a limit they would use up inodes and disk. Folders are counted,
since `borg init --make-parent-dirs` makes as many as fit into a path. The folders inside a repository do not count: borg makes no other
repository there. Only borg can say what a repository is, so borg is asked."""

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
                continue  # it has just been deleted, or belongs to somebody else
            if not self.is_repository(path):
                found += len(below)
                left += below
        return found


def missing(path: str) -> int:
    found = 0
    while not os.path.lexists(path):
        path, found = os.path.dirname(path), found + 1
    return found
