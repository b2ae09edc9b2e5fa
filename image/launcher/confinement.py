"""Which box each borg of this server gets, and when.

A session is in one before it reads a byte of its client: it can change its account's folder, or where it may open several
repositories (an admin, an account with sub-repositories) what lies below that folder, and run nothing, read nothing but
programs, connect to nothing and signal nobody. Once it has said which repository it opens, it can change that one alone. Links
that somebody else has made there lead nowhere then: borg follows and overwrites whatever its process may.
"""

import os
import sys

from launcher import box, entries

PROGRAMS = ('/usr', '/lib', '/lib64', '/bin', '/sbin', '/etc', '/.etc')
# nss reads them for the names of accounts, which the URL of an admin may have (/~NAME/).
ACCOUNTS = '/var/lib/extrausers'

SECOND = 'this session is closed into the repository that it opened first: open another one in a session of its own'


def programs(allowed):
    """The rules for what borg itself needs."""
    own = os.path.dirname(os.path.abspath(__file__))
    places = {each for each in (*PROGRAMS, sys.prefix, sys.base_prefix, own) if each != '/'}
    return [*((allowed, each) for each in sorted(places)),
            (box.READ_FILE, '/dev/urandom'), (box.READ_FILE | box.WRITE_FILE, '/dev/null')]


class Session:
    """The boxes of one session.

    repository: the one that it may open, or None; folder: below which it may open several, or None; admin: whether these are of several
    accounts; mode: 'required', and the session ends where the kernel has no box; 'auto'; 'entries', and it is not asked for one."""

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
            pass  # borg has words for that
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
        """Goes into the repository, for good.

        Raises FileNotFoundError, NotADirectoryError where it is none or a link, and borg's Error for a second one."""
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
                # Where the repository is deleted, its empty folder is removed from the one above.
                above = [(box.REMOVE_DIR, os.path.dirname(path))]
                if self.folder and not self.admin:
                    # How many repositories there are, and how full, counts for all of an account.
                    above.append((box.READ, os.path.realpath(self.folder)))
                box.confine([*self.known(), *above, (box.CHANGE, found)])
            self.inside = which
        finally:
            os.close(found)


def confine_own(root, repository, base, reach, mode):
    """The box of a borg that the server runs itself: it can change the repository and the folder of its owner's cache, and reach no other
    repository. reach: 'repository', nothing else but programs; 'machine', whatever its owner may, as a backup of the server's own files
    and an export to a file need. root: of all repositories.

    mode: as of a session. Raises OSError, NoBox where a box is required, and borg's Error where an entry is refused."""
    folders = [box.open_folder(repository), box.open_folder(os.path.realpath(base))]
    rules = [(box.CHANGE, each) for each in folders]
    if os.path.dirname(repository) != root:
        rules.append((box.REMOVE_DIR, os.path.dirname(repository)))
    if reach == 'repository':
        rules += [*programs(box.RUN), (box.READ, '/proc'), (box.USE_DEVICE, '/dev/tty')]
    else:
        rules += [(box.EVERYTHING, each) for each in beside(root)]
        # borg opens the folder above each file that it backs up. A rule holds for all that lies below: names can be listed everywhere.
        rules.append((box.READ_DIR, '/'))
    try:
        if mode == 'entries':
            raise box.NoBox
        box.confine(rules, net=reach != 'repository')
    except box.NoBox:
        if mode == 'required':
            raise
        # The descriptors stay open, as the places where borg may open files.
        entries.check_entries(folders[0])
        entries.guard_opens(lambda: folders)
    else:
        for each in folders:
            os.close(each)


def beside(path):
    """All folders and files that are neither above nor below this folder."""
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
