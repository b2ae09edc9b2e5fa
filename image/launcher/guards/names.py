"""Refuses new repositories that the server would not find or could not show.

The server recognises a repository by the names of files in it. borg itself would make a repository /repos/web01/data or
/repos/web01/lock.exclusive. Then the server would think that the folder above is a repository, or that the new one is a part of one: it would
be missing in `status` and in `all`, and its stale locks would stay. The same is true of a repository whose name is not UTF-8, and of one that
lies deeper than the server looks, even if it is an admin's."""

import os
import re

from borg.helpers import Error
from borg.repository import Repository

from launcher.depth import DEEPEST

# Not every name that borg uses: a repository called only `config` is not confused with anything.
OWN = re.compile(r'README|data|lock\..*')


def why_not(path, repos):
    """Why no repository may be made there; None if one may."""
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
