"""Tells the server how a session ended.

sshd's log only says that a client has disconnected, whatever borg has answered it before. So the session tells the server the first failure
that borg answers with, as one word of a fixed set; or, at its end, that all went well. It does so over a socket, and the reader asks the
kernel who speaks (image/session-ends). What a session says is only a label: it opens, closes and ends nothing."""

import configparser
import errno
import os
import socket

from borg.helpers import Error, IntegrityError
from borg.locking import LockError, LockErrorT, LockFailed, NotLocked, NotMyLock
from borg.remote import InvalidRPCMethod, PathNotAllowed, UnexpectedRPCDataFormatFromClient
from borg.repository import Repository

from launcher.server_socket import connected

#: Seconds that a session waits for the reader, when it connects and when it speaks.
PATIENCE = 0.5
MOST_BYTES = 1000
#: Methods that write. After one of these has failed, a session that only reads does not prove that all is right again.
WRITES = frozenset(('put', 'delete', 'commit', 'check', 'destroy', 'save_key', 'commit_nonce_reservation'))

SYSTEM = {
    errno.ENOSPC: 'no-space', errno.EDQUOT: 'disk-quota', errno.EROFS: 'read-only', errno.EACCES: 'permission',
    errno.EPERM: 'permission', errno.EIO: 'io', errno.ESTALE: 'io', errno.EUCLEAN: 'io', errno.ENOMEM: 'memory',
}
#: Errors that the client itself causes. borg tells it in its own words.
OWN = (Repository.DoesNotExist, Repository.AlreadyExists, Repository.PathAlreadyExists, Repository.ParentPathDoesNotExist,
       Repository.ObjectNotFound, InvalidRPCMethod, UnexpectedRPCDataFormatFromClient)
DAMAGED = (Repository.CheckNeeded, Repository.InvalidRepositoryConfig, Repository.AtticRepository, IntegrityError, configparser.Error)


def because(code, error):
    """Gives the error the word that the server hears for it."""
    error.outcome = code
    return error


def system_code(err):
    """The word for the system's error, also if borg has wrapped it in an error of its own."""
    for _ in range(4):
        if isinstance(err, MemoryError):
            return 'memory'
        if isinstance(err, OSError) and err.errno in SYSTEM:
            return SYSTEM[err.errno]
        err = err.__cause__ or err.__context__
        if err is None:
            break
    return None


def code_of(err, path=''):
    """The word for what a client was answered; None if only the client itself is concerned."""
    known = getattr(err, 'outcome', None)
    if known is not None:
        return known
    if isinstance(err, OWN):
        return None
    if isinstance(err, PathNotAllowed):
        return 'path'
    if type(err).__name__ == 'PathPermissionDenied':  # of newer borg 1.4
        return 'permission'
    if isinstance(err, Repository.StorageQuotaExceeded):
        return 'quota'
    if isinstance(err, Repository.InsufficientFreeSpaceError):
        return 'no-space'
    if isinstance(err, (NotLocked, NotMyLock)):
        return 'lock-broken'
    if isinstance(err, LockFailed):
        return system_code(err) or 'lock-held'
    if isinstance(err, (LockError, LockErrorT)):
        return 'lock-held'
    if isinstance(err, Repository.InvalidRepository):
        return None if is_empty(path) else 'damaged'
    if isinstance(err, DAMAGED):
        return 'damaged'
    if type(err) is ValueError and str(err).endswith(' is in append-only mode'):
        return None  # borg's whole answer to a client that wants to destroy such a repository
    return system_code(err) or ('refused' if isinstance(err, Error) else 'unexpected')


def is_empty(path):
    """Whether nobody has made a repository there yet."""
    try:
        return not path or not os.listdir(path)
    except OSError:
        return False


class Outcome:
    """What this session says, once. repos: the folder of all repositories."""

    def __init__(self, repos):
        self.repos = os.path.realpath(repos)
        self.busy = False
        self.failed = False
        self.committed = False
        self.reader = None

    def connect(self, path):
        """Called before the session is in its box. If nobody listens, nothing is told, and the session goes on."""
        self.reader = connected(socket.SOCK_SEQPACKET, path, PATIENCE)

    def say(self, word, wrote, path):
        reader, self.reader = self.reader, None
        if reader is None:
            return
        inside = os.path.relpath(path, self.repos) if path else ''
        text = '%s %s %s' % (word, 'w' if wrote else 'r', '' if inside.startswith('.') else inside)
        try:
            reader.send(os.fsencode(text)[:MOST_BYTES])
            reader.recv(1)  # the reader closes it once it has heard
        except OSError:
            pass
        finally:
            reader.close()

    def fail(self, err, method, path):
        if self.failed:
            return
        code = code_of(err, path)
        if code is not None:
            self.failed = True
            self.say(code, method in WRITES, path)


def path_of(this, args, kwargs):
    """The path of the repository that a call is about; '' if that is unknown."""
    if isinstance(this, Repository):
        return this.path
    if this.repository is not None:
        return this.repository.path
    try:
        return this._resolve_path(kwargs['path'] if 'path' in kwargs else args[0])
    except Exception:
        return ''
