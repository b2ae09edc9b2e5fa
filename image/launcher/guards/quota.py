"""The quota holds, and a transaction that exceeds it is removed from the disk at once.

Above the quota borg answers each put with an error, but still writes the data, without end: a client that is not borg could fill the disk.
The data of such a transaction stay on the disk, above the quota, until somebody writes again (tried with 1.2.4; the code of 1.4.0 is the
same). Here they are cleared with the refusal, and the server takes nothing more of the transaction. If the session is ended while it clears,
the rest is cleared when it gives its lock back."""

from borg.repository import Repository

from launcher.unfinished import clear, remove_segments


class QuotaRepository(Repository):
    #: Whether something still has to be cleared.
    to_clear = False
    #: The number of the last segment when this session began to write; None before that.
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
                pass  # it is more important that the client hears of its quota
            finally:
                # What the client has sent already must not begin a new transaction: it would have only a part of the data.
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
            # If something was committed before, borg clears with the next transaction. Before the first commit it clears nothing, and each
            # time counts the quota from zero.
            if self._active_txn and self.get_index_transaction_id() is None:
                remove_segments(self)
        finally:
            super()._rollback(cleanup=cleanup)
