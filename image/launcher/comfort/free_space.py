"""The free space that borg asks for before it commits.

If ten or more segments have something to free, borg asks for the space of a whole segment (525 MB), even to commit deletions, which compact
nothing. On a small disk that is nearly full, nobody could then make room: neither a client nor the server's own maintenance. Here the real
number is used: one can know what a compaction copies."""

import os

from borg.constants import MAX_OBJECT_SIZE
from borg.repository import Repository


def free_at(path):
    """Bytes that this process may use there."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def copied(repository, threshold):
    """Bytes that a compaction writes before it removes anything. threshold: None if there will be no compaction."""
    if threshold is None:
        return 0
    total, most = 0, repository.max_segment_size + MAX_OBJECT_SIZE
    for segment, free in repository.compact.items():
        try:
            size = repository.io.segment_size(segment)
        except FileNotFoundError:
            continue
        if free > threshold * size:
            total += size - free
            if total >= most:
                return most
    return total


class FreeSpaceRepository(Repository):
    #: The threshold of the compaction that comes with the commit; None: there is none.
    coming_compaction = 0.1

    def commit(self, save_space=False, compact=True, threshold=0.1, *args, **kwargs):
        self.coming_compaction = threshold if compact and not self.append_only else None
        return super().commit(save_space, compact, threshold, *args, **kwargs)

    def check_free_space(self):
        # As borg computes it: four times the index, and the hints.
        rest = 4 * self.index.size() + 20 * (len(self.segments) + len(self.compact)) + 4096 + self.additional_free_space
        if free_at(self.path) - rest < copied(self, self.coming_compaction):
            super().check_free_space()  # borg says so, and cleans up
