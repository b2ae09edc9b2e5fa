"""No repository is made that the server would not find or could not show.

Inside an account's folder none is called like what the server knows a repository by: borg itself makes /repos/web01/data or
/repos/web01/lock.exclusive. The server then takes the folder above for a repository, or what is inside for a part of one: it is missing
in `status` and in `all`, and its stale locks stay. So it is with one whose name is no UTF-8, and with one that lies deeper than the
server looks, an admin's, too."""

import os
import re

from borg.helpers import Error
from borg.repository import Repository

from launcher.depth import DEEPEST

# Not every name that borg uses: a repository called `config` alone is taken for nothing else.
OWN = re.compile(r'README|data|lock\..*')


def why_not(path, repos):
    """Why no repository is made there; None where one may be."""
    inside = os.path.relpath(path, os.path.realpath(repos))
    name = next((part for part in inside.split('/')[1:] if OWN.fullmatch(part)), None)
    if name is not None:
        return 'a repository in the folder of an account cannot be called %s: borg keeps files of its own under that name' % name
    try:
        inside.encode()
    except UnicodeEncodeError:
        return 'the name of a repository must be UTF-8 on this server'
    if inside.count('/') > DEEPEST:
        return 'a repository lies at most %d folders deep on this server' % (DEEPEST + 1)
    return None


class NamedRepository(Repository):
    def create(self, path):
        reason = why_not(path, os.environ['BORG_BASE_DIR'])
        if reason is not None:
            raise Error(reason)
        return super().create(path)
