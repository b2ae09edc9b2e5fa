"""Which path a client may open, and what a refusal tells it."""

import os
import re

from borg.remote import PathNotAllowed, RepositoryServer


class HiddenAccountsServer(RepositoryServer):
    """/~NAME/ in a URL is the home of that account. borg's refusal names that folder, so a tenant could find out which accounts exist. It also
    names the target of a link: with IDENTITIES=shared, /proc/PID/cwd is the repository of another account's session."""

    def _resolve_path(self, path):
        own = os.environ.get('USER', '')
        allowed = [*(self.restrict_to_repositories or []), *(self.restrict_to_paths or [])]
        home = re.match('/?~([^/]+)', os.fsdecode(path))
        if home and home.group(1) != own and any(os.path.basename(each) == own for each in allowed):
            raise PathNotAllowed(os.fsdecode(path))
        if home and home.group(1) == own:
            # The home that sshd found in the account database: only an admin's box lets the session read that.
            path = os.path.expanduser('~') + os.fsdecode(path)[home.end():]
        try:
            resolved = super()._resolve_path(path)
        except OSError:
            # A link in /proc that the kernel does not let this session read.
            raise PathNotAllowed(os.fsdecode(path)) from None
        # Refused even below a folder that the account may use: a name that begins with a dot is the server's own, such as /repos/.borgserver.
        for each in map(os.path.realpath, allowed):
            if resolved.startswith(each + '/') and re.search('(^|/)[.]', resolved[len(each) + 1:]):
                raise PathNotAllowed(os.fsdecode(path))
        return resolved

    def open(self, path, *args, **kwargs):
        try:
            return super().open(path, *args, **kwargs)
        except PathNotAllowed:
            pass
        # Raised outside the try: the client gets the traceback, and it must not contain the first error.
        raise PathNotAllowed(os.fsdecode(path))
