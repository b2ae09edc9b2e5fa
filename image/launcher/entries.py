"""The checks where the kernel has no box. Before borg opens a repository, every entry that borg would follow, open or wipe is checked. Each
file is checked again once it is open, before a byte is read or written. An entry that is not a plain file or folder of this repository's
owner, or that lies elsewhere, is refused.

This protects less than a box: nobody notices if a folder is exchanged after the check and before borg removes something in it."""

import builtins
import os
import stat


def check_entries(repository):
    """repository: a descriptor of its folder. Raises borg's Error."""
    own = os.fstat(repository)
    check_folder(repository, '.', own, '')
    try:
        data = os.open('data', os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=repository)
    except FileNotFoundError:
        return
    except OSError:
        raise refused('data') from None
    try:
        for name in os.listdir(data):
            check_folder(data, name, own, 'data/')
    finally:
        os.close(data)


def check_folder(above, name, own, shown):
    try:
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        if stat.S_ISREG(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            return  # borg leaves it out
        raise refused(shown + name) from None
    except OSError:
        raise refused(shown + name) from None
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # another session has just removed it
                if not is_plain(found, own) and not stat.S_ISDIR(found.st_mode):
                    raise refused(shown + ('' if name == '.' else name + '/') + entry.name)
    finally:
        os.close(folder)


def is_plain(found, own):
    """A file that the account or an admin has made has the account's user or group (setgid)."""
    return stat.S_ISREG(found.st_mode) and (found.st_uid in (own.st_uid, os.geteuid()) or found.st_gid == own.st_gid)


def refused(name):
    from borg.helpers import Error

    return Error('%r in this repository is a link, or not a plain file or folder of its owner: it is not opened' % name[:200])


#: Returns the descriptors of the folders in which borg may open files; None where a box of the kernel takes care of that.
places = None


def lies_in(found, place):
    where = os.readlink('/proc/self/fd/%d' % found)
    return where.startswith(os.readlink('/proc/self/fd/%d' % place) + '/')


def check_place(found, name):
    """found: a descriptor. Raises borg's Error."""
    if places is not None and not any(lies_in(found, place) for place in places()):
        raise refused(name)


def is_repository(path):
    """borg asks this before it makes a repository: about the folder, those above it, and the account's other repositories. The session may
    open no file there, so this function answers for borg, and tells the session nothing more about them."""
    try:
        file = os.open(os.path.join(path, 'README'), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        head = os.read(file, 100) if stat.S_ISREG(os.fstat(file).st_mode) else b''
        return b'Borg Backup repository' in head or b'Borg repository' in head
    finally:
        os.close(file)


def guard_opens(where):
    """From now on each file that borg opens in a repository must lie below one of these folders, and be a plain file of its owner.

    where: a function that returns the descriptors of the folders."""
    global places
    places = where
    import borg.crypto.file_integrity
    import borg.helpers.fs
    import borg.locking
    import borg.platform.base
    import borg.repository

    def open_inside(path, flags):
        # Without O_TRUNC: nothing changes before the check. O_NONBLOCK: opening a FIFO would wait for its other end.
        found = os.open(path, (flags & ~os.O_TRUNC) | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            status = os.fstat(found)
            if not any(lies_in(found, place) and is_plain(status, os.fstat(place)) for place in where()):
                if flags & os.O_EXCL:
                    os.unlink(os.readlink('/proc/self/fd/%d' % found))  # this call has just made it
                raise refused(os.path.basename(path))
            if flags & os.O_TRUNC:
                os.ftruncate(found, 0)
            return found
        except BaseException:
            os.close(found)
            raise

    def open_plain(file, mode='r', *args, **kwargs):
        if isinstance(file, int):
            return builtins.open(file, mode, *args, **kwargs)
        return builtins.open(file, mode, *args, opener=open_inside, **kwargs)

    borg.repository.Repository.is_repository = staticmethod(is_repository)
    for module in (borg.repository, borg.helpers.fs, borg.locking, borg.crypto.file_integrity, borg.platform.base):
        vars(module)['open'] = open_plain
