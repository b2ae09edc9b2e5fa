"""Nothing is written without the lock.

What borg's own client never asks for, and its server does without a lock: a client that is not borg could write to a
repository while somebody else compacts it. Each takes the other's segments for left-overs, and what the compaction has
just moved is gone for good, of an append-only repository, too (tried with 1.2.4; 1.4.0 reads the same). So nothing is written without
the lock (--bypass-lock reads), and an append-only session breaks no lock but one whose process is dead. A lock knows its session by host
and process: a session could also break its own, or have it released with a repository that it opened before."""

import os

from borg.helpers import Error
from borg.locking import Lock, LockError, LockErrorT
from borg.remote import RepositoryServer
from borg.repository import Repository

from launcher.outcome import because


def still_has(lock):
    """Two looks by a path are a tenth of the time of a small object. The lock's own file has no name any more once it is broken;
    a file system that does not say so says it at the commit."""
    witness = getattr(lock, 'witness', None)
    if witness is not None and os.fstat(witness.fileno()).st_nlink > 0:
        return True
    if not lock.got_exclusive_lock():
        return False
    try:
        lock.witness = open(lock._lock.unique_name)
    except OSError:
        pass
    return True


class LockedRepository(Repository):
    def hold_lock(self, taken, has=Lock.got_exclusive_lock):
        """Where it wants the lock and has taken it, it must still have it."""
        if taken and self.do_lock and not (self.lock and has(self.lock)):
            raise because('lock-broken', Error('the lock of this session was broken; nothing more is written'))

    def prepare_txn(self, transaction_id, do_cleanup=True):
        # Without cleaning up it only makes a missing index anew, as for `borg key import`, which takes no lock.
        if not self.do_lock and (do_cleanup or self.append_only):
            raise Error('this server writes to a repository only with its lock')
        self.hold_lock(taken=self.lock is None or self.lock.is_exclusive)
        try:
            return super().prepare_txn(transaction_id, do_cleanup=do_cleanup)
        except BaseException:
            # borg goes on with a transaction that has begun and failed: without an index it knows of no object and of no quota.
            self._rollback(cleanup=False)
            raise

    def check(self, *args, **kwargs):
        try:
            return super().check(*args, **kwargs)
        except BaseException:
            self._rollback(cleanup=False)
            raise

    def put(self, id, data, wait=True):
        # Otherwise the transaction that it begins takes the lock.
        if self._active_txn:
            self.hold_lock(True, still_has)
        return super().put(id, data, wait)

    def delete(self, id, wait=True):
        if self._active_txn:
            self.hold_lock(True, still_has)
        return super().delete(id, wait)

    def commit(self, *args, **kwargs):
        self.hold_lock(taken=True)
        return super().commit(*args, **kwargs)

    def break_lock(self):
        if self.lock is not None:
            raise Error('this session has a lock itself')
        if not self.append_only:
            return super().break_lock()
        try:
            # Taking it removes the locks of dead processes, as for every session; with no time at all borg would not look again.
            Lock(os.path.join(self.path, 'lock'), exclusive=True, timeout=1).acquire().release()
        except (LockError, LockErrorT):
            raise Error('the lock is held by a process that is alive, and an append-only account cannot break it') from None


class OneRepositoryServer(RepositoryServer):
    def open(self, *args, **kwargs):
        # Not whenever Python comes to it, which would take the lock away from the next.
        if self.repository is not None:
            self.repository.close()
        try:
            return super().open(*args, **kwargs)
        except BaseException:
            # borg keeps the object of what could not be opened, or was refused: a client that goes on could break its lock.
            refused, self.repository = self.repository, None
            if refused is not None:
                refused.close()
            raise
