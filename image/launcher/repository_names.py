"""No repository inside an account's folder is called like what the server knows a repository by.

borg itself makes /repos/web01/data or /repos/web01/lock.exclusive. The server then takes the folder above for a repository, or what is
inside for a part of one: it is missing in `status` and in `all`, and its stale locks stay."""

import functools
import os
import re

from borg.helpers import Error
from borg.repository import Repository

# Not every name that borg uses: a repository called `config` alone is taken for nothing else.
OWN = re.compile(r'README|data|lock\..*')


def own_name(path, repos):
    """The first part of the path below /repos/NAME that borg uses itself; None where there is none."""
    inside = os.path.relpath(path, os.path.realpath(repos)).split('/')[1:]
    return next((part for part in inside if OWN.fullmatch(part)), None)


def install(repos):
    create = Repository.create

    @functools.wraps(create)
    def create_by_another_name(self, path):
        name = own_name(path, repos)
        if name is not None:
            raise Error('a repository in the folder of an account cannot be called %s: borg keeps files of its own under that name' % name)
        return create(self, path)

    Repository.create = create_by_another_name
