"""Clears what an unfinished transaction has written."""


def clear(repository):
    """Rolls back the transaction of this session, and removes the segments after the last commit: borg would leave them on the disk until
    somebody writes again. Only with the lock: without it they may belong to another session that is writing now."""
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
        pass  # on a full disk the data in memory does not fit either
    last = io.get_segments_transaction_id()
    if last is not None:
        io.cleanup(last)
    elif repository.get_index_transaction_id() is None and repository.last_before is not None:
        # Either nothing was ever committed, or so much is lost that it looks like that. Then `borg check --repair` needs the older segments, so
        # only this session's are removed.
        io.cleanup(repository.last_before)
