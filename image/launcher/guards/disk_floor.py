"""The disk never gets full. If less than the floor is free, a session takes no new data. Reading, deleting and compacting still work.

On a full disk borg cannot even list, delete, compact or break a lock: each of these writes a little, too."""

import errno
import os

from borg.constants import MAX_OBJECT_SIZE
from borg.helpers import Error
from borg.repository import LoggedIO, Repository

from launcher.comfort import read_only
from launcher.outcome import because
from launcher.unfinished import clear

MANIFEST = bytes(32)
HEADER = LoggedIO.put_header_fmt.size
# Bytes that a session writes before it looks at the disk again. On a network file system each look is a request to its server.
STEP = 1 << 20
# The floor of `auto`: at least a fiftieth (PART) of the disk, and what a compaction needs, of which at most MOST_NEED bytes count.
MOST_NEED = 2_000_000_000
PART = 50
# Bytes that a manifest may always have: one with fewer archives may be larger than the one before, if that was compressed better.
LEAST_MANIFEST = 1 << 16
# A segment with less than a twentieth of it in use is cheap to compact.
AS_GOOD_AS_EMPTY = 0.95
FULL = (errno.ENOSPC, errno.EDQUOT)


def size_text(size):
    for unit, name in ((10**12, 'TB'), (10**9, 'GB'), (10**6, 'MB')):
        if size >= unit:
            return '%.1f %s' % (size / unit, name)
    return '%d kB' % (size // 1000)


def need_of(repository):
    """Bytes that one compaction of the repository needs: borg copies up to a segment before it removes one, and writes new index and hints."""
    index = repository.index.size() if repository.index is not None else 0
    segment = getattr(repository, 'max_segment_size', 0) + MAX_OBJECT_SIZE
    return min(repository.storage_quota_use, segment) + 4 * index


class Disk:
    """The floor of the file systems on which the repositories are.

    setting: `auto`, or bytes. shared: a folder on the file system that most repositories share. need: what the largest compaction on it
    needs. It does not count for a repository on a mount of its own."""

    def __init__(self, setting, shared, need):
        self.size = None if setting == 'auto' else int(setting)
        self.shared, self.need = shared, need
        self.others = {}

    def room(self, folder, own_need=0):
        """Bytes that are free for this process, and the floor there. A file system that does not tell its size has the floor 0."""
        found = os.statvfs(folder)
        free, whole = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        if whole == 0:
            return free, 0
        if self.size is not None:
            return free, self.size
        return free, max(whole // PART, min(max(own_need, self.need_of_others(folder)), MOST_NEED, whole // 2))

    def need_of_others(self, folder):
        if folder not in self.others:
            self.others[folder] = self.need if os.stat(folder).st_dev == os.stat(self.shared).st_dev else 0
        return self.others[folder]


def sentence(floor, makes_no_room):
    rest = 'its operator has to make room' if makes_no_room else 'deleting and compacting work'
    return 'the server has less than %s left and takes no new data; %s' % (size_text(floor), rest)


class FloorRepository(Repository):
    """floor: the Disk with the floor of every session of this process."""

    floor: Disk
    # Why the server takes nothing more of this transaction: the word for it (outcome.py), and the sentence.
    floor_refusal = None
    # Bytes since the last look at the disk; bytes that this transaction wrote above the floor; bytes of its manifests below the floor.
    floor_unseen, floor_taken, floor_manifest = STEP, 0, 0

    def create(self, path):
        there = path
        while not os.path.exists(there):
            there = os.path.dirname(there)
        free, floor = self.floor.room(there)
        if free < floor:
            raise because('floor', Error(sentence(floor, self.append_only)))
        return super().create(path)

    def put(self, id, data, wait=True):
        # No further function in between: in a backup of small files each costs time.
        if self.floor_refusal is not None:
            raise refusal_of(self.floor_refusal)
        size = len(data) + HEADER
        self.floor_unseen += size
        try:
            if self.floor_unseen >= STEP or id == MANIFEST:
                self.look_at_disk(id, size)
            return super().put(id, data, wait)
        except OSError as err:
            self.unless_full(err)
        self.give_up('no-space', TOO_FULL)

    def delete(self, id, wait=True):
        if self.floor_refusal is not None:
            raise refusal_of(self.floor_refusal)
        try:
            return super().delete(id, wait)
        except OSError as err:
            self.unless_full(err)
        self.give_up('no-space', TOO_FULL)

    def commit(self, save_space=False, compact=True, threshold=0.1, *args, **kwargs):
        refusal = self.floor_refusal
        if refusal is not None:
            clear(self)
            raise refusal_of(refusal)
        if self.floor_manifest and not compact:
            # It compacts, so that manifests do not add up without end, and segments that are wholly deleted become free at once.
            compact, threshold = True, AS_GOOD_AS_EMPTY
        try:
            return super().commit(save_space, compact, threshold, *args, **kwargs)
        except OSError as err:
            self.unless_full(err)
        self.give_up('no-space', TOO_FULL)

    def _rollback(self, *, cleanup):
        self.floor_refusal = None
        self.floor_unseen, self.floor_taken, self.floor_manifest = STEP, 0, 0
        return super()._rollback(cleanup=cleanup)

    def unless_full(self, err):
        if err.errno not in FULL:
            read_only.tell(err)
            raise err

    def give_up(self, code, words):
        """Clears at once what did not fit: otherwise the disk stays full."""
        clear(self)
        # What the client has sent already must not begin a new transaction: it would have only a part of the data.
        self.floor_refusal = code, words
        raise refusal_of(self.floor_refusal)

    def look_at_disk(self, id, size):
        if not self._active_txn:
            self.prepare_txn(self.get_transaction_id())
        free, floor = self.floor.room(self.path, need_of(self))
        self.floor_unseen = 0
        if free - size >= floor:
            self.floor_taken += size
            return
        # Manifests cannot use these bytes, so that there is always room for a compaction.
        rest = min(floor // 2, MOST_NEED // 2)
        if id == MANIFEST:
            # Deleting and compacting write a manifest, too. In an append-only repository the old manifest stays on the disk. So there only a
            # backup that began above the floor may write one, since it is nearly done.
            may = self.floor_taken > 0 if self.append_only else True
            self.floor_manifest += size
            if may and free - size >= rest and self.floor_manifest <= max(2 * self.replaced_manifest(), LEAST_MANIFEST):
                return
        self.give_up('floor', sentence(floor, self.append_only or free < rest))

    def replaced_manifest(self):
        """Bytes of the manifest that the next one replaces."""
        if MANIFEST not in self.index:
            return 0
        segment, offset = self.index[MANIFEST]
        return self.io.read(segment, offset, MANIFEST, read_data=False)


TOO_FULL = 'the disk of the server is full; what did not fit was cleared'


def refusal_of(refusal):
    code, words = refusal
    return because(code, Error(words))
