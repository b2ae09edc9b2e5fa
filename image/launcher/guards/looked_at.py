"""Whatever looks like an attack is not made final before a person has looked at it: a compaction removes what was deleted.

What an admin or the operator deletes is no attack. So that nobody hides behind it, the server keeps the state before the first write and after the
commit, while the lock is held: between the two nobody else has written."""

from borg.helpers import Error
from borg.repository import Repository

from launcher.keeping import Keeping
from launcher.outcome import because
from launcher.unfinished import clear

MANIFEST = bytes(32)


class LookedAtRepository(Repository):
    """keeping: the way to the server, or None: then nothing is asked."""

    keeping: Keeping | None
    #: Whether this transaction has written more than the manifest, which borg writes to have something to commit before it compacts.
    wrote_more = False
    #: Whether the server has kept the state in which this transaction began.
    kept_before = False

    def prepare_txn(self, transaction_id, do_cleanup=True):
        super().prepare_txn(transaction_id, do_cleanup=do_cleanup)
        if self.keeping is not None and self.lock is not None and self.lock.got_exclusive_lock():
            self.kept_before = self.keeping.keep_alone(self.path)

    def put(self, id, data, wait=True):
        try:
            return super().put(id, data, wait)
        finally:
            # Afterwards: it may begin a transaction, and roll back what was left before.
            if id != MANIFEST:
                self.wrote_more = True

    def delete(self, id, wait=True):
        try:
            return super().delete(id, wait)
        finally:
            self.wrote_more = True

    def commit(self, save_space=False, compact=True, *args, **kwargs):
        if self.wrote_more:
            # borg 1.1 compacts with each commit. What the same transaction deletes or overwrites nobody can look at before.
            compact = False
        # Whoever commits has the lock. So nobody changes the repository between the server's look and the compaction.
        elif compact and not self.append_only and self.keeping is not None:
            refusal = self.keeping.look(self.path)
            if refusal:
                clear(self)
                raise because('unseen', Error(refusal))
        is_mine = self.wrote_more and self.kept_before
        super().commit(save_space, compact, *args, **kwargs)
        if is_mine and self.keeping is not None and self.lock is not None and self.lock.got_exclusive_lock():
            self.keeping.keep_mine(self.path)

    def _rollback(self, *, cleanup):
        self.wrote_more = self.kept_before = False
        return super()._rollback(cleanup=cleanup)
