"""Which path a client may open, and what a refusal tells it."""

import os
import re

from borg.remote import PathNotAllowed, RepositoryServer


class HiddenAccountsServer(RepositoryServer):
    """/~NAME/ in a URL is the home of that account, and the refusal names it: a tenant could ask which accounts there are.
    It also names where a link leads to: with IDENTITIES=shared /proc/PID/cwd is the repository of whose session that is."""

    def _resolve_path(self, path):
        own = os.environ.get('USER', '')
        allowed = [*(self.restrict_to_repositories or []), *(self.restrict_to_paths or [])]
        home = re.match('/?~([^/]+)', os.fsdecode(path))
        if home and home.group(1) != own and any(os.path.basename(each) == own for each in allowed):
            raise PathNotAllowed(os.fsdecode(path))
        if home and home.group(1) == own:
            # As sshd found it in the account database, which the session's box keeps closed to all but admins.
            path = os.path.expanduser('~') + os.fsdecode(path)[home.end():]
        try:
            resolved = super()._resolve_path(path)
        except OSError:
            # A link of /proc that the kernel keeps from this session.
            raise PathNotAllowed(os.fsdecode(path)) from None
        # Whatever the account may reach: a name that begins with a dot is the server's own, such as /repos/.borgserver.
        for each in map(os.path.realpath, allowed):
            if resolved.startswith(each + '/') and re.search('(^|/)[.]', resolved[len(each) + 1:]):
                raise PathNotAllowed(os.fsdecode(path))
        return resolved

    def open(self, path, *args, **kwargs):
        try:
            return super().open(path, *args, **kwargs)
        except PathNotAllowed:
            pass
        # Out here, so that its traceback, which the client gets, has nothing of the first.
        raise PathNotAllowed(os.fsdecode(path))
