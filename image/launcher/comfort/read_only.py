"""A disk that has turned read-only, as the kernel makes it after an error, is told to the client in words. borg ends in a traceback there,
before it has read anything, since it cannot take a lock; without one (--bypass-lock) everything can still be read."""

import errno

from borg.helpers import Error
from borg.locking import ExclusiveLock, LockFailed
from borg.repository import Repository

from launcher.outcome import because

SENTENCE = (
    'the disk of the server is read-only, as after an error: tell its operator. What is there can still be restored, without a lock: '
    'borg list --bypass-lock …, borg extract --bypass-lock …')
#: borg keeps of the system's error only its words.
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
    """Above all that undoes what has begun. What changes objects tells by itself (guards/disk_floor.py): each further function in between
    counts there."""

    create, commit, save_key, break_lock, destroy, prepare_txn, commit_nonce_reservation = map(told, (
        'create', 'commit', 'save_key', 'break_lock', 'destroy', 'prepare_txn', 'commit_nonce_reservation'))


class ReadOnlyLock(ExclusiveLock):
    def acquire(self, *args, **kwargs):
        try:
            return super().acquire(*args, **kwargs)
        except (OSError, LockFailed) as err:
            tell(err)
            raise
