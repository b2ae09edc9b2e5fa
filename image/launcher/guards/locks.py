"""Nothing is written without the lock.

borg's server also writes without a lock. borg's own client never asks for that, but a client that is not borg could write to a repository
while another session compacts it. Each session takes the other's segments for left-overs, and what the compaction has just moved is lost for
good, even in an append-only repository (tried with 1.2.4; the code of 1.4.0 is the same). So nothing is written without the lock
(--bypass-lock only reads), and an append-only session can break a lock only if its process is dead. A lock knows its session by host and
process. So a session could also break its own lock, or release it by closing a repository that it opened before."""

import os

from borg.helpers import Error
from borg.locking import Lock, LockError, LockErrorT
from borg.remote import RepositoryServer
from borg.repository import Repository

from launcher.outcome import because


def still_has(lock):
    """Looking twice by a path takes a tenth of the time of a small object. So this keeps the lock's own file open: when the lock is broken, the
    file has no name (link) any more. On a file system that does not show that, the commit notices it."""
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
        """A session that wants the lock and has taken it must still have it."""
        if taken and self.do_lock and not (self.lock and has(self.lock)):
            raise because('lock-broken', Error('the lock of this session was broken; nothing more is written'))

    def prepare_txn(self, transaction_id, do_cleanup=True):
        # Without cleaning up it only rebuilds a missing index. `borg key import` needs that, and takes no lock.
        if not self.do_lock and (do_cleanup or self.append_only):
            raise Error('this server writes to a repository only with its lock')
        self.hold_lock(taken=self.lock is None or self.lock.is_exclusive)
        try:
            return super().prepare_txn(transaction_id, do_cleanup=do_cleanup)
        except BaseException:
            # borg would go on with a transaction that failed as it began: without an index it knows of no object and of no quota.
            self._rollback(cleanup=False)
            raise

    def check(self, *args, **kwargs):
        try:
            return super().check(*args, **kwargs)
        except BaseException:
            self._rollback(cleanup=False)
            raise

    def put(self, id, data, wait=True):
        # If no transaction is open, put() begins one, and prepare_txn checks the lock.
        if self._active_txn:
            self.hold_lock(True, still_has)
        return super().put(id, data, wait)

    def delete(self, id, wait=True):
        if self._active_txn:
            self.hold_lock(True, still_has)
        return super().delete(id, wait)

    def commit(self, *args, **kwargs):
        self.hold_lock(taken=True)
        # borg would commit what a transaction has left that was rolled back, with an index that knows nothing of it: so a client could delete
        # unseen. No borg does that.
        if not self._active_txn and not self.transaction_doomed:
            raise Error('there is nothing to commit')
        return super().commit(*args, **kwargs)

    def break_lock(self):
        if self.lock is not None:
            raise Error('this session has a lock itself')
        if not self.append_only:
            return super().break_lock()
        try:
            # Taking the lock removes those of dead processes, as in every session. With a timeout of 0 borg would not try again after that.
            Lock(os.path.join(self.path, 'lock'), exclusive=True, timeout=1).acquire().release()
        except (LockError, LockErrorT):
            raise Error('the lock is held by a process that is alive, and an append-only account cannot break it') from None


class OneRepositoryServer(RepositoryServer):
    def open(self, *args, **kwargs):
        # Closed now, not when Python frees the object: that would release the lock of the repository that is opened next.
        if self.repository is not None:
            self.repository.close()
        try:
            return super().open(*args, **kwargs)
        except BaseException:
            # borg keeps the object of a repository that could not be opened, or was refused: with it the client could break the lock.
            refused, self.repository = self.repository, None
            if refused is not None:
                refused.close()
            raise
