"""Clearing what a transaction wrote that does not come to its end."""


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
