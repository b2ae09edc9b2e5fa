"""What a transaction wrote that does not come to its end."""

import functools

from borg.repository import Repository


#: Whether something was left that is still to be cleared.
Repository.to_clear = False
#: The number of the last segment that was there when this session began to write; None before that.
Repository.last_before = None


def clear(repository):
    """Rolls back the transaction of this session, and removes the segments above the last commit, which borg leaves on the disk until
    somebody writes again. Only while this session has the lock: without it they may be those of somebody else who writes just now."""
    repository.to_clear = True
    try:
        remove_segments(repository)
        repository.to_clear = False
    finally:
        repository._rollback(cleanup=False)


def remove_segments(repository):
    lock, io = repository.lock, repository.io
    if not (repository.do_lock and lock is not None and io is not None and lock.got_exclusive_lock()):
        return
    try:
        io.close_segment()
    except OSError:
        pass  # where the disk is full what is in memory does not fit either
    last = io.get_segments_transaction_id()
    if last is not None:
        io.cleanup(last)
    elif repository.get_index_transaction_id() is None and repository.last_before is not None:
        # Nothing was ever committed; or so much is lost that it looks so, and what is left is for `borg check --repair`.
        io.cleanup(repository.last_before)


def hold_quota():
    """Above its quota borg answers each put with an error, but writes it all the same, without end: a client that is not borg could
    fill the disk. And whoever meets it leaves on the disk what its transaction has written, beyond the quota, until somebody writes
    again (tried with 1.2.4; 1.4.0 reads the same). Here it is cleared with the refusal, and nothing of the transaction is taken any
    more. What could not be cleared then, since the session was ended in the middle of it, goes when it gives its lock back."""
    put, delete, close, rollback = Repository.put, Repository.delete, Repository.close, Repository._rollback
    prepare_txn = Repository.prepare_txn

    @functools.wraps(prepare_txn)
    def prepare_and_remember(self, *args, **kwargs):
        if self.last_before is None:
            latest = self.io.get_latest_segment()
            self.last_before = -1 if latest is None else latest
        return prepare_txn(self, *args, **kwargs)

    @functools.wraps(put)
    def put_within_quota(self, *args, **kwargs):
        if self.transaction_doomed:
            raise self.transaction_doomed
        try:
            return put(self, *args, **kwargs)
        except Repository.StorageQuotaExceeded as refusal:
            try:
                clear(self)
            except OSError:
                pass  # the client has to know of its quota first
            finally:
                # What the client has sent already must not begin a new transaction, with a part of its data only.
                self.transaction_doomed = refusal
            raise

    @functools.wraps(delete)
    def delete_if_not_doomed(self, *args, **kwargs):
        if self.transaction_doomed:
            raise self.transaction_doomed
        return delete(self, *args, **kwargs)

    @functools.wraps(close)
    def close_and_clear(self):
        try:
            if self.to_clear or self.transaction_doomed:
                clear(self)
        finally:
            close(self)

    @functools.wraps(rollback)
    def rollback_and_clear(self, *args, **kwargs):
        try:
            # Where something was committed borg clears with the next transaction. Before the first commit it clears nothing, and counts the
            # quota anew each time.
            if self._active_txn and self.get_index_transaction_id() is None:
                remove_segments(self)
        finally:
            rollback(self, *args, **kwargs)

    Repository._rollback, Repository.prepare_txn = rollback_and_clear, prepare_and_remember
    Repository.put, Repository.delete, Repository.close = put_within_quota, delete_if_not_doomed, close_and_clear
