"""The disk is never full: below a floor a session takes no new data, and what reads or makes room goes on.

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
# Bytes that a session writes between two looks at the disk. On a network file system a look is a question to its server.
STEP = 1 << 20
# `auto` is never more, whatever a compaction needs: a part of the disk, or bytes.
MOST_NEED = 2_000_000_000
PART = 50
# A manifest that names fewer archives may be larger than the one before: that may have been compressed better.
LEAST_MANIFEST = 1 << 16
# A segment with less than a twentieth of it in use costs little to compact.
AS_GOOD_AS_EMPTY = 0.95
FULL = (errno.ENOSPC, errno.EDQUOT)


def size_text(size):
    for unit, name in ((10**12, 'TB'), (10**9, 'GB'), (10**6, 'MB')):
        if size >= unit:
            return '%.1f %s' % (size / unit, name)
    return '%d kB' % (size // 1000)


def need_of(repository):
    """Bytes that one compaction of it needs: borg copies up to a segment before it removes one, and writes index and hints anew."""
    index = repository.index.size() if repository.index is not None else 0
    segment = getattr(repository, 'max_segment_size', 0) + MAX_OBJECT_SIZE
    return min(repository.storage_quota_use, segment) + 4 * index


class Disk:
    """The floor of the file systems on which the repositories are.

    setting is `auto`, or bytes. shared is a folder of the file system that they share, and need what the largest compaction there
    needs: a repository on a mount of its own has that for itself."""

    def __init__(self, setting, shared, need):
        self.size = None if setting == 'auto' else int(setting)
        self.shared, self.need = shared, need
        self.others = {}

    def room(self, folder, own_need=0):
        """Bytes that are free for this process, and the floor there; a file system that does not tell its size has none."""
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
    """floor: the Disk that holds every session of this process."""

    floor: Disk
    # Why nothing more of this transaction is taken: the word for it (outcome.py), and the sentence.
    floor_refusal = None
    # Bytes since the last look; of this transaction above the floor; of its manifest below it.
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
        # For a backup of small files each further function in between counts.
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
            # So that endless manifests do not add up, and that what was deleted whole is free at once.
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
        """What did not fit is cleared at once, or the disk stays full."""
        clear(self)
        # What the client has sent already must not begin a new transaction, with a part of its data only.
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
        # What manifests cannot take, so that there is always room for a compaction.
        rest = min(floor // 2, MOST_NEED // 2)
        if id == MANIFEST:
            # What deletes or compacts writes a manifest. In an append-only repository the former one stays on the disk: there only a
            # backup that is as good as done comes to its end.
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
