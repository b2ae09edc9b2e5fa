"""A repository as a snapshot has it: a new tree of names for the same files, which takes the repository's place in one step.

    UNDO/ACCOUNT.PID-START/tree     the new tree; once the step is done, the former one
    UNDO/ACCOUNT.PID-START/unused   as long as it is there, `tree` is the new one, and may be removed
    UNDO/ACCOUNT.PID-START/lock     where borg's lock is made

The same tree is made for borg to read, and then removed:

    READING/ACCOUNT.PID-START/tree, unused
    READING/ACCOUNT.PID-START/borg  the account's own: what borg remembers of the tree

Root's folders are above it, so nobody knows what is in the way but whoever has it open."""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Callable

from snapshots.carry import FORMER_KEYS
from snapshots.folders import FOLDER, PLAIN, Changed, Odd, is_number, is_there, last_index, opened
from snapshots.keep import FILE_MODE, FOLDER_MODE, Owner, copy_own, hand_over, write_all
from snapshots.rename import EXCHANGE, rename
from snapshots.segments import ends_with_commit
from snapshots.take import COPIED, SHARED, Failed, root_folder, sync
from snapshots.transactions import LOG, cut, look

TREE, UNUSED, LOCK, REMEMBERED = 'tree', 'unused', 'lock', 'borg'
#: What borg makes in a repository's folder, besides COPIED, SHARED and `data`. While it takes the lock, a folder has a longer name.
EXCLUSIVE, ROSTER = 'lock.exclusive', 'lock.roster'


def prepare(snapshot: str, above: str, owner: Owner, only_read: bool = False, transaction: int | None = None) -> dict[str, object]:
    """Makes the folder `above`, and in it the tree of the snapshot's folder `repository`, with the owner and the modes of a repository. It is on the
    disk afterwards, unless it is only read.

    transaction: of that state only the segments until this one, and no index: borg makes it anew.

    Returns `segments`, how many there are. Raises Failed('other-account') if the account has another group than when the snapshot was taken,
    Failed('no-exchange') if it could not be put in place here, which reading does not need, what `look` raises, and OSError. Nothing is left then."""
    if transaction is not None:
        look(snapshot, transaction)
    os.mkdir(above, 0o700)
    try:
        with contextlib.ExitStack() as stack:
            source, holder = root_folder(stack, snapshot), root_folder(stack, above)
            mark_unused(holder)
            for name in (TREE, REMEMBERED if only_read else LOCK):
                os.mkdir(name, 0o700, dir_fd=holder)
            if only_read:
                with opened(REMEMBERED, FOLDER, holder) as remembered:
                    hand_over(remembered, owner, 0o700)
            else:
                # Better now than after borg has looked at every byte.
                rename(TREE, holder, LOCK, holder, EXCHANGE)
            tree = stack.enter_context(opened(TREE, FOLDER, holder))
            segments = fill(source, tree, owner, transaction)
            if not only_read:
                sync(tree)
                os.fsync(holder)
            hand_over(tree, owner, FOLDER_MODE)
            # Its account's borg has to get through. Where the kernel has no box, the launcher looks at the names of what borg may open.
            os.fchmod(holder, 0o755 if only_read else 0o711)
    except BaseException:
        shutil.rmtree(above)
        raise
    return {'segments': segments}


def mark_unused(holder: int) -> None:
    os.close(os.open(UNUSED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, dir_fd=holder))


def fill(source: int, tree: int, owner: Owner, transaction: int | None) -> int:
    for name in os.listdir(source):
        if name == LOG and transaction is not None:
            copy_log(source, tree, owner, transaction)
        elif name in COPIED:
            copy_own(name, source, tree, owner)
        elif name.partition('.')[0] in SHARED and transaction is None:
            link(name, source, tree, owner)
    segments = 0
    os.mkdir('data', dir_fd=tree)
    with opened('data', FOLDER, source) as data, opened('data', FOLDER, tree) as there:
        for name in os.listdir(data):
            with opened(name, FOLDER, data) as folder:
                going = [each for each in os.listdir(folder) if transaction is None or int(each) <= transaction]
                if not going:
                    continue
                os.mkdir(name, dir_fd=there)
                with opened(name, FOLDER, there) as place:
                    for segment in going:
                        link(segment, folder, place, owner)
                    hand_over(place, owner, FOLDER_MODE)
                segments += len(going)
        hand_over(there, owner, FOLDER_MODE)
    return segments


def copy_log(source: int, tree: int, owner: Owner, transaction: int) -> None:
    with opened(LOG, PLAIN, source) as file, opened(LOG, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, tree) as to:
        write_all(to, cut(os.read(file, COPIED[LOG]), transaction))
        hand_over(to, owner, FILE_MODE)


def link(name: str, folder: int, into: int, owner: Owner) -> None:
    """Its account reads such a file by its group. The group is not changed: other snapshots, and the present state, share the file."""
    if os.stat(name, dir_fd=folder, follow_symlinks=False).st_gid != owner.gid:
        raise Failed('other-account')
    try:
        os.link(name, name, src_dir_fd=folder, dst_dir_fd=into, follow_symlinks=False)
    except OSError as error:
        # The account has given it as many names as there may be, before it became root's.
        if error.errno != errno.EMLINK:
            raise
        copy_own(name, folder, into, owner)


def remove(above: str, only_unused: bool) -> dict[str, object]:
    """Removes what a repository has in `above`/tree, and nothing else. Its former account may still have it open, and change it meanwhile.

    only_unused: nothing is removed if it may have been a repository's.

    Returns `left`: whether anything is still there. Only root can reach it."""
    with contextlib.ExitStack() as stack:
        holder = root_folder(stack, above)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return {'left': True}
        if only_unused:
            if is_there(TREE, holder) and not is_there(UNUSED, holder):
                return {'left': True}
        elif is_there(TREE, holder):
            os.fchmod(holder, 0o700)
            with opened(TREE, FOLDER, holder) as tree:
                if has_commit_without_index(tree):
                    return {'left': True}
                remove_borgs_own(tree)
            try:
                os.rmdir(TREE, dir_fd=holder)
            except OSError:
                return {'left': True}
    # `unused` last: if this is ended in between, it can be done later.
    for name in (TREE, REMEMBERED, LOCK):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree('%s/%s' % (above, name))
    shutil.rmtree(above)
    return {'left': False}


def has_commit_without_index(tree: int) -> bool:
    """borg writes a commit first, and its index afterwards. If it was ended in between, the snapshot of that state, which goes by the index, has not
    what borg would find (borg/repository.py, commit and replay_segments)."""
    index = last_index(os.listdir(tree))
    last = -1 if index is None else index
    with contextlib.suppress(OSError, Changed, Odd), opened('data', FOLDER, tree) as data:
        for name in filter(is_number, os.listdir(data)):
            with contextlib.suppress(OSError, Changed, Odd), opened(name, FOLDER, data) as folder:
                for each in filter(is_number, os.listdir(folder)):
                    if int(each) > last and ends_with_commit(each, folder):
                        return True
    return False


def remove_borgs_own(tree: int) -> None:
    for name in os.listdir(tree):
        kind, _, number = name.partition('.')
        if name in COPIED or name == ROSTER or kind in SHARED and is_number(number):
            remove_file(name, tree)
        elif name == 'data':
            remove_each(name, tree, lambda each, folder: remove_segments(each, folder) if is_number(each) else None)
        elif name == EXCLUSIVE or name.startswith(EXCLUSIVE + '.'):
            remove_each(name, tree, remove_file)
        elif name == FORMER_KEYS:
            # Those that the new tree has are gone already (carry.py).
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=tree)


def remove_each(name: str, above: int, what: Callable[[str, int], None]) -> None:
    with contextlib.suppress(OSError, Changed, Odd):
        with opened(name, FOLDER, above) as folder:
            for each in os.listdir(folder):
                what(each, folder)
        os.rmdir(name, dir_fd=above)


def remove_segments(name: str, data: int) -> None:
    remove_each(name, data, lambda each, folder: remove_file(each, folder) if is_number(each) else None)


def remove_file(name: str, folder: int) -> None:
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=folder)
