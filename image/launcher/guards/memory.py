"""The memory limit of a session follows what its repository really needs.

borg serve holds what a client sends, and a client may send lists in lists without end. It holds the whole index of the repository, twice
while it grows, and a third one for `check`. hints.N becomes ten times as large in memory. So the limit follows the size of the files that are
really there, up to half of the server's memory. A session that wants more ends with a sentence."""

import os
import re
import sys

from borg.helpers import Error
from borg.remote import RepositoryServer
from borg.repository import Repository

from launcher.outcome import Outcome, because
from launcher.process_limits import LAST_MEMORY, LEAST_MEMORY, allow_memory, most_memory

#: After so many changes a session looks how far the index has grown.
CALLS = 4096


class Allowance:
    """How much memory this session may have. setting: bytes, or 'auto'."""

    def __init__(self, setting):
        self.most = most_memory(setting)
        self.allowed = LEAST_MEMORY if setting == 'auto' else self.most
        self.calls = 0
        self.sentence = ('this session needs more memory than the server allows it (the setting SESSION_MEMORY, here %s)'
                         % (setting if setting == 'auto' else '%d MB' % (self.most // 1000000)))

    def follow(self, index, hints=0):
        wanted = min(LEAST_MEMORY + 8 * index + 16 * hints, self.most)
        if wanted > self.allowed:
            self.allowed = wanted
            allow_memory(wanted)

    def for_last_words(self):
        allow_memory(self.allowed + LAST_MEMORY)

    def error(self):
        return because('memory', Error(self.sentence))


def is_memory_error(err):
    return (isinstance(err, MemoryError) or any(isinstance(each, MemoryError) for each in err.args)
            or re.match('hashindex_(init|set) failed', str(err)))


def size_of(repository, name):
    """Bytes of the largest file NAME.NUMBER."""
    sizes = [entry.stat().st_size for entry in os.scandir(repository.path) if re.fullmatch(name + r'\.[0-9]+', entry.name)]
    return max(sizes, default=0)


class MemoryRepository(Repository):
    """memory: the session's Allowance."""

    memory: Allowance

    def open_index(self, *args, **kwargs):
        self.memory.follow(size_of(self, 'index'))
        return super().open_index(*args, **kwargs)

    def prepare_txn(self, transaction_id, do_cleanup=True):
        index, hints = size_of(self, 'index'), size_of(self, 'hints')
        self.memory.follow(index, hints)
        # Checked before: if memory ran out halfway, borg would think that hints and index are damaged, and remove them.
        if (LEAST_MEMORY >> 2) + index + 10 * hints > self.memory.allowed:
            raise self.memory.error()
        return super().prepare_txn(transaction_id, do_cleanup=do_cleanup)

    def _update_index(self, *args, **kwargs):
        self.follow_growth()
        return super()._update_index(*args, **kwargs)

    def put(self, id, data, wait=True):
        self.follow_now_and_then()
        return super().put(id, data, wait)

    def delete(self, id, wait=True):
        self.follow_now_and_then()
        return super().delete(id, wait)

    def follow_now_and_then(self):
        self.memory.calls += 1
        if self.memory.calls % CALLS == 0:
            self.follow_growth()

    def follow_growth(self):
        if self.index is not None:
            # borg remembers each deleted object, with 300 bytes each.
            self.memory.follow(self.index.size(), 40 * len(self.shadow_index))


class MemoryServer(RepositoryServer):
    """memory: the session's Allowance; outcome: what the session tells the server."""

    memory: Allowance
    outcome: Outcome

    def serve(self):
        try:
            return super().serve()
        except Exception as err:
            if not is_memory_error(err):
                raise
        self.memory.for_last_words()
        self.outcome.fail(self.memory.error(), '', self.repository.path if self.repository is not None else '')
        if self.repository is not None:
            self.repository.close()
        sys.exit('The server ended the session: ' + self.memory.sentence + '.')
