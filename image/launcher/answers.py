"""Answers a client in words, and tells the server how each call ended. It wraps every call, outside all guards."""

import functools

from borg.remote import RepositoryServer
from borg.repository import Repository

from launcher.guards.memory import MemoryRepository, is_memory_error
from launcher.outcome import Outcome, path_of, system_code


def answered(name, method):
    """Wraps a call. The class that has it has the session's `outcome`; a repository also has its `memory`, an Allowance."""

    @functools.wraps(method)
    def call(this, *args, **kwargs):
        outcome, memory = this.outcome, this.memory if isinstance(this, MemoryRepository) else None
        # A call inside another call is borg's own: the client has not asked for it.
        outermost, outcome.busy = not outcome.busy, True
        try:
            return method(this, *args, **kwargs)
        except Exception as err:
            if memory is None or not is_memory_error(err):
                if outermost:
                    outcome.fail(err, name, path_of(this, args, kwargs))
                raise
        finally:
            if outermost:
                outcome.busy = False
        # Outside the try, where the memory that the call held is free again.
        memory.for_last_words()
        # What is in memory may be incomplete: it must not be committed.
        this.transaction_doomed = memory.error()
        if outermost:
            outcome.fail(this.transaction_doomed, name, path_of(this, args, kwargs))
        raise this.transaction_doomed

    return call


class HeardRepository(Repository):
    """outcome: the session's."""

    outcome: Outcome

    def commit(self, *args, **kwargs):
        done = super().commit(*args, **kwargs)
        self.outcome.committed = True
        return done


class HeardServer(RepositoryServer):
    """outcome: the session's."""

    outcome: Outcome

    def serve(self):
        try:
            done = super().serve()
        except Exception as err:
            # Everything else that ends a session outside a call comes from its client: it is gone, or speaks another protocol.
            if system_code(err) is not None:
                self.outcome.fail(err, '', path_of(self, (), {}))
            raise
        if not self.outcome.failed and self.repository is not None:
            self.outcome.say('well', self.outcome.committed, self.repository.path)
        return done
