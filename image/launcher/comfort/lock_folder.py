"""borg makes its lock folder with mkdtemp, that is 0700, whatever the umask: another account that shares the repository then crashes with
PermissionError instead of waiting for the lock, and cannot remove a stale one. All else in a repository follows --umask."""

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
            pass  # a file system without Unix modes, such as exFAT: the mount says who may enter
        return path

    # Only the name in borg.locking: everybody else's temporary folders stay private.
    borg.locking.tempfile = types.SimpleNamespace(**{**vars(tempfile), 'mkdtemp': mkdtemp})


def change_mode(path):
    """A box of the kernel does not hold chmod(2), but it holds opening: nobody who exchanges the folder, or one above it, for a link has the
    mode of something else changed.

    Raises OSError, and borg's Error for what lies elsewhere."""
    found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        entries.check_place(found, os.path.basename(path))
        os.fchmod(found, MODE)
    finally:
        os.close(found)
