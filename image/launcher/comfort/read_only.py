"""Tells the client in words that the disk is read-only, as the kernel makes it after an error. borg itself cannot take a lock then, and ends
with a traceback before it has read anything. Without a lock (--bypass-lock) everything can still be read."""

import errno

from borg.helpers import Error
from borg.locking import ExclusiveLock, LockFailed
from borg.repository import Repository

from launcher.outcome import because

SENTENCE = (
    'the disk of the server is read-only, as after an error: tell its operator. What is there can still be restored, without a lock: '
    'borg list --bypass-lock …, borg extract --bypass-lock …')
#: borg keeps only the text of the system's error.
WORDS = '[Errno %d]' % errno.EROFS


def is_read_only(err):
    if isinstance(err, LockFailed):
        return any(WORDS in str(each) for each in err.args)
    return isinstance(err, OSError) and err.errno == errno.EROFS


def tell(err):
    if is_read_only(err):
        raise because('read-only', Error(SENTENCE)) from None


def told(name):
    def call(self, *args, **kwargs):
        try:
            return getattr(super(ReadOnlyRepository, self), name)(*args, **kwargs)
        except (OSError, LockFailed) as err:
            tell(err)
            raise
    call.__name__ = name
    return call


class ReadOnlyRepository(Repository):
    """Above all guards that undo what has begun. put and delete are not here: guards/disk_floor.py does the same for them, since they are called
    so often that each further function costs time."""

    create, commit, save_key, break_lock, destroy, prepare_txn, commit_nonce_reservation = map(told, (
        'create', 'commit', 'save_key', 'break_lock', 'destroy', 'prepare_txn', 'commit_nonce_reservation'))


class ReadOnlyLock(ExclusiveLock):
    def acquire(self, *args, **kwargs):
        try:
            return super().acquire(*args, **kwargs)
        except (OSError, LockFailed) as err:
            tell(err)
            raise
