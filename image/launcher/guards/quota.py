"""The quota holds, and what met it is off the disk at once.

Above its quota borg answers each put with an error, but writes it all the same, without end: a client that is not borg could
fill the disk. And whoever meets it leaves on the disk what its transaction has written, beyond the quota, until somebody writes
again (tried with 1.2.4; 1.4.0 reads the same). Here it is cleared with the refusal, and nothing of the transaction is taken any
more. What could not be cleared then, since the session was ended in the middle of it, goes when it gives its lock back."""

from borg.repository import Repository

from launcher.unfinished import clear, remove_segments


class QuotaRepository(Repository):
    #: Whether something was left that is still to be cleared.
    to_clear = False
    #: The number of the last segment that was there when this session began to write; None before that.
    last_before = None

    def prepare_txn(self, transaction_id, do_cleanup=True):
        if self.last_before is None:
            latest = self.io.get_latest_segment()
            self.last_before = -1 if latest is None else latest
        return super().prepare_txn(transaction_id, do_cleanup=do_cleanup)

    def put(self, id, data, wait=True):
        if self.transaction_doomed:
            raise self.transaction_doomed
        try:
            return super().put(id, data, wait)
        except Repository.StorageQuotaExceeded as refusal:
            try:
                clear(self)
            except OSError:
                pass  # the client has to know of its quota first
            finally:
                # What the client has sent already must not begin a new transaction, with a part of its data only.
                self.transaction_doomed = refusal
            raise

    def delete(self, id, wait=True):
        if self.transaction_doomed:
            raise self.transaction_doomed
        return super().delete(id, wait)

    def close(self):
        try:
            if self.to_clear or self.transaction_doomed:
                clear(self)
        finally:
            super().close()

    def _rollback(self, *, cleanup):
        try:
            # Where something was committed borg clears with the next transaction. Before the first commit it clears nothing, and counts
            # the quota anew each time.
            if self._active_txn and self.get_index_transaction_id() is None:
                remove_segments(self)
        finally:
            super()._rollback(cleanup=cleanup)
