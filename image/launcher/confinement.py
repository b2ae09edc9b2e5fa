"""Which box each borg of this server gets, and when.

A session enters its first box before it reads a byte from its client. In it the session can change its account's folder. A session that
may open several repositories (an admin, an account with sub-repositories) can change what lies below that folder. It can run nothing,
read nothing but programs, connect to nothing and signal nobody. Once it has said which repository it opens, it can change only that one.
Then a link that somebody else has made there leads nowhere. borg itself follows links, and overwrites whatever its process may write.
"""

import os
import sys

from launcher import box, entries

PROGRAMS = ('/usr', '/lib', '/lib64', '/bin', '/sbin', '/etc', '/.etc')
# nss reads account names here. The URL of an admin may have one (/~NAME/).
ACCOUNTS = '/var/lib/extrausers'

SECOND = 'this session may use only the repository that it opened first: open another one in a new session'


def programs(allowed):
    """The rules for what borg itself needs."""
    own = os.path.dirname(os.path.abspath(__file__))
    places = {each for each in (*PROGRAMS, sys.prefix, sys.base_prefix, own) if each != '/'}
    return [*((allowed, each) for each in sorted(places)),
            (box.READ_FILE, '/dev/urandom'), (box.READ_FILE | box.WRITE_FILE, '/dev/null')]


class Session:
    """The boxes of one session.

    repository: the only one that it may open, or None; folder: it may open several below this one, or None; admin: whether these belong to
    several accounts; mode: 'required': the session ends if the kernel has no box; 'auto'; 'entries': the kernel is not asked for one."""

    def __init__(self, repository, folder, admin, mode):
        self.repository, self.folder, self.admin, self.mode = repository, folder, admin, mode
        self.inside = None
        self.boxed = mode != 'entries'
        self.opened = None

    def begin(self):
        """The first box. Raises OSError, and NoBox where one is required."""
        if not self.boxed:
            return self.look_instead()
        changes = []
        top = None
        try:
            top = box.open_folder(os.path.realpath(self.repository or self.folder))
            changes = [(box.CHANGE, top)]
            if self.repository:
                self.inside = identity(top)
        except (FileNotFoundError, NotADirectoryError):
            pass  # borg says so itself
        try:
            box.confine([*self.known(), *changes])
        except box.NoBox:
            if self.mode == 'required':
                raise
            self.look_instead()
        finally:
            if top is not None:
                os.close(top)

    def look_instead(self):
        self.boxed = False
        self.inside = None
        entries.guard_opens(lambda: [] if self.opened is None else [self.opened])

    def known(self):
        return [*programs(box.READ), *([(box.READ, ACCOUNTS)] if self.admin else [])]

    def is_inside(self, path):
        try:
            found = os.stat(path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.inside

    def enter(self, path):
        """Enters the repository, for good.

        Raises FileNotFoundError, NotADirectoryError if it is a link or no folder, and borg's Error for a second repository."""
        from borg.helpers import Error

        found = box.open_folder(path)
        try:
            which = identity(found)
            if self.inside is not None:
                if self.inside != which:
                    raise Error(SECOND)
                return
            if not self.boxed:
                entries.check_entries(found)
                self.opened = os.dup(found)
            elif self.repository is None or self.inside is None:
                # Deleting a repository removes its empty folder from the one above.
                above = [(box.REMOVE_DIR, os.path.dirname(path))]
                if self.folder and not self.admin:
                    # The guards count the repositories of the whole account, and how full they are.
                    above.append((box.READ, os.path.realpath(self.folder)))
                box.confine([*self.known(), *above, (box.CHANGE, found)])
            self.inside = which
        finally:
            os.close(found)


def confine_own(root, repository, base, reach, mode):
    """The box of a borg that the server runs itself: it can change the repository and the folder of its owner's cache, and reaches no other
    repository. reach: 'repository': nothing else but programs; 'machine': whatever its owner may, which a backup of the server's own files
    and an export to a file need. root: the folder of all repositories.

    mode: as for a session. Raises OSError, NoBox where a box is required, and borg's Error where an entry is refused."""
    folders = [box.open_folder(repository), box.open_folder(os.path.realpath(base))]
    rules = [(box.CHANGE, each) for each in folders]
    if os.path.dirname(repository) != root:
        rules.append((box.REMOVE_DIR, os.path.dirname(repository)))
    if reach == 'repository':
        rules += [*programs(box.RUN), (box.READ, '/proc'), (box.USE_DEVICE, '/dev/tty')]
    else:
        rules += [(box.EVERYTHING, each) for each in beside(root)]
        # borg opens the folder above each file that it backs up. A rule holds for everything below, so this borg can list names everywhere.
        rules.append((box.READ_DIR, '/'))
    try:
        if mode == 'entries':
            raise box.NoBox
        box.confine(rules, net=reach != 'repository')
    except box.NoBox:
        if mode == 'required':
            raise
        # The descriptors stay open: they say where borg may open files.
        entries.check_entries(folders[0])
        entries.guard_opens(lambda: folders)
    else:
        for each in folders:
            os.close(each)


def beside(path):
    """All folders and files beside this folder and beside each folder above it."""
    above = '/'
    for part in path.split('/')[1:]:
        try:
            names = os.listdir(above)
        except PermissionError:
            names = []  # less is allowed then
        for name in names:
            if name != part:
                yield os.path.join(above, name)
        above = os.path.join(above, part)


def identity(descriptor):
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino
