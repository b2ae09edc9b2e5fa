"""borg makes its lock folder with mkdtemp: its mode is 0700, whatever the umask. Another account that shares the repository then crashes with
PermissionError instead of waiting for the lock, and cannot remove a stale lock. Everything else in a repository follows --umask."""

import os
import tempfile
import types

from launcher import entries

MODE = 0o2770


def share():
    import borg.locking

    def mkdtemp(*args, **kwargs):
        path = tempfile.mkdtemp(*args, **kwargs)
        try:
            change_mode(path)
        except PermissionError:
            pass  # a file system without Unix modes, such as exFAT: the mount options say who may enter
        return path

    # Replaced only in borg.locking: all other temporary folders stay private.
    borg.locking.tempfile = types.SimpleNamespace(**{**vars(tempfile), 'mkdtemp': mkdtemp})


def change_mode(path):
    """A box of the kernel does not restrict chmod(2), but it restricts opening. So the folder is opened first: if somebody exchanges it, or one
    above it, for a link, the mode of nothing else changes.

    Raises OSError, and borg's Error if the folder lies elsewhere."""
    found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        entries.check_place(found, os.path.basename(path))
        os.fchmod(found, MODE)
    finally:
        os.close(found)
