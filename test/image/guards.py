"""Tries each guard alone, directly before the installed borg, and then does the same without the guard.

    PYTHON -I test/image/guards.py FOLDER

Prints one line of JSON. It has the result for each guard, with it and without it ('held', or what happened instead), the classes that have no
case here, the order of the guards for each kind of start, and what rpc.unknown() says. Each case has a process of its own."""

import errno
import importlib
import inspect
import json
import os
import pkgutil
import signal
import sys
import time
import types

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../image'))

from launcher.comfort import selftest

selftest.leave_out()

import borg.locking  # noqa: E402
from borg.helpers import Error  # noqa: E402
from borg.locking import ExclusiveLock, TimeoutTimer  # noqa: E402
from borg.logger import setup_logging  # noqa: E402
from borg.remote import PathNotAllowed, RepositoryServer  # noqa: E402
from borg.repository import Repository  # noqa: E402

import launcher.comfort  # noqa: E402
import launcher.guards  # noqa: E402
from launcher import answers, confinement, install, limits, rpc  # noqa: E402
from launcher.guards import disk_floor, inodes, memory  # noqa: E402
from launcher.outcome import Outcome  # noqa: E402

TOP = os.path.realpath(sys.argv[1])
BASES = (Repository, RepositoryServer, ExclusiveLock, TimeoutTimer)
KEY, MANIFEST = b'k' * 32, bytes(32)


def alone(guards, *bases, **attributes):
    return type('Alone', (*guards, *(bases or (Repository,))), attributes)


def made(kind, name='own', **options):
    repository = kind(os.path.join(TOP, name), create=True, exclusive=True, **options)
    repository.__enter__()
    return repository


def opened(kind, name='own', **options):
    repository = kind(os.path.join(TOP, name), exclusive=True, **options)
    repository.__enter__()
    return repository


def word_of(action):
    """The outcome of a refusal; '' if the refusal has none; None if nothing is refused."""
    try:
        action()
    except Error as err:
        return getattr(err, 'outcome', '')
    return None


def server(guards, append_only=False, **attributes):
    return alone(guards, RepositoryServer, **attributes)([], [os.path.join(TOP, 'own')], append_only, None)


def raising(base, method, error):
    def call(*_, **__):
        raise error

    return type('Failing', (base,), {method: call})


def heard_repository(guards):
    outcome = Outcome(TOP)
    repository = made(alone(guards, outcome=outcome))
    repository.put(KEY, b'data')
    repository.commit(compact=False)
    return outcome.committed


def heard_server(guards):
    outcome = Outcome(TOP)
    base = raising(RepositoryServer, 'serve', OSError(errno.EIO, 'Input/output error'))
    try:
        server_of(guards, base, outcome=outcome).serve()
    except OSError:
        pass
    return outcome.failed


def server_of(guards, base, **attributes):
    return alone(guards, base, **attributes)([], [os.path.join(TOP, 'own')], False, None)


def read_only_repository(guards):
    kind = alone(guards, raising(Repository, 'save_key', OSError(errno.EROFS, 'Read-only file system')))
    repository = made(kind)
    try:
        return word_of(lambda: repository.save_key(b'key')) == 'read-only'
    except OSError:
        return False


def read_only_lock(guards):
    def mkdtemp(*_, **__):
        raise OSError(errno.EROFS, 'Read-only file system')

    borg.locking.tempfile = types.SimpleNamespace(mkdtemp=mkdtemp)
    return word_of(alone(guards, ExclusiveLock)(os.path.join(TOP, 'lock.exclusive'), timeout=1).acquire) == 'read-only'


def counted_repositories(guards):
    kind = alone(guards, counted=TOP, most_repositories=1)
    made(kind, 'one')
    child = os.fork()
    if child == 0:
        made(kind, 'two')
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1 and not os.path.exists(os.path.join(TOP, 'two'))


def memory_repository(guards):
    repository = made(alone(guards, memory=memory.Allowance('300000000')))
    os.truncate(os.open(os.path.join(repository.path, 'index.9'), os.O_CREAT | os.O_WRONLY), 1 << 30)
    return word_of(lambda: repository.prepare_txn(None)) == 'memory'


def memory_server(guards):
    base = raising(RepositoryServer, 'serve', MemoryError())
    try:
        server_of(guards, base, memory=memory.Allowance('300000000'), outcome=Outcome(TOP)).serve()
    except SystemExit as err:
        return 'SESSION_MEMORY' in str(err.code)
    except MemoryError:
        return False
    return False


def slowed_repository(guards):
    slept = []
    inodes.FREE, time.sleep = 0, slept.append
    repository = made(alone(guards))
    repository.put(KEY, b'data')
    for number in range(100, 100 + 2 * inodes.WINDOW):
        with open(os.path.join(repository.path, 'data/0/%d' % number), 'w'):
            pass
    repository.put(MANIFEST, b'manifest')
    return any(each >= 1 for each in slept)


def floor_repository(guards):
    return word_of(lambda: made(alone(guards, floor=disk_floor.Disk(str(1 << 60), TOP, 0)))) == 'floor'


def free_space_repository(guards):
    """It commits. borg alone asks for the space of a whole segment there."""
    repository = made(alone(guards))
    for number in range(12):
        key = bytes([number]) * 32
        repository.put(key, b'data')
        repository.commit(compact=False)
        repository.delete(key)
        repository.commit(compact=False)
    repository.max_segment_size = 1 << 60
    repository.put(KEY, b'data')
    return word_of(lambda: repository.commit(compact=False)) is None


def named_repository(guards):
    os.mkdir(os.path.join(TOP, 'web01'))
    return word_of(lambda: made(alone(guards), 'web01/data')) == ''


def nonce_repository(guards):
    repository = made(alone(guards), append_only=True)
    repository.commit_nonce_reservation(10, None)
    return word_of(lambda: repository.commit_nonce_reservation(5, 10)) == '' and repository.get_free_nonce() == 10


def kept_state_repository(guards):
    made(alone(())).__exit__(None, None, None)
    asked = []
    keeping = types.SimpleNamespace(keep=lambda path: asked.append((path, os.path.exists(os.path.join(path, 'lock.exclusive')))))
    opened(alone(guards, keeping=keeping))
    return asked == [(os.path.join(TOP, 'own'), False)]


def looked_at_repository(guards):
    answers = ['not before somebody has looked', '']
    own = os.path.join(TOP, 'own')
    kept_states = []

    def note(word):
        # With the lock, before the first write and after the commit.
        committed = [int(name[6:]) for name in os.listdir(own) if name.startswith('index.')]
        kept_states.append((word, max(committed, default=0), os.path.exists(os.path.join(own, 'lock.exclusive'))))
        return True

    keeping = types.SimpleNamespace(
        look=lambda path: answers.pop(0) if path == own else None,
        keep_alone=lambda path: path == own and note('before'),
        keep_mine=lambda path: path == own and note('mine'),
    )
    repository = made(alone(guards, keeping=keeping))
    for key in (KEY, MANIFEST):
        repository.put(key, b'data')
        repository.commit(compact=False)
    told = kept_states == [('before', 0, True), ('mine', 1, True), ('before', 1, True)]
    before = repository.get_transaction_id()
    repository.put(MANIFEST, b'data')
    refused = word_of(lambda: repository.commit(compact=True, threshold=0))
    kept = repository.get_transaction_id() == before and repository.io.get_latest_segment() == before
    # Nobody is asked: it compacts nothing, since what this very transaction deletes cannot be looked at.
    repository.delete(KEY)
    repository.commit(compact=True, threshold=0)
    kept = kept and b'data' in b''.join(open(path, 'rb').read() for _, path in repository.io.segment_iterator())
    repository.put(MANIFEST, b'last')
    repository.commit(compact=True, threshold=0)
    gone = b'data' not in b''.join(open(path, 'rb').read() for _, path in repository.io.segment_iterator())
    return told and refused == 'unseen' and kept and gone and answers == []


def plain_key_repository(guards):
    repository = made(alone(guards))
    return word_of(lambda: repository.save_key(b'first\rsecond')) == ''


def boxed_repository(guards):
    box = confinement.Session(None, TOP, False, 'entries')
    box.boxed = False
    for name in ('one', 'two'):
        made(alone(()), name).close()
    opened(alone(guards, box=box), 'one').close()
    return word_of(lambda: opened(alone(guards, box=box), 'two')) == ''


def kept_config_repository(guards):
    repository = made(alone(guards), append_only=True)
    repository.save_key(b'first')
    repository.save_key(b'second')
    former = os.path.join(repository.path, 'former-keys')
    return os.path.isdir(former) and len(os.listdir(former)) == 1


def quota_repository(guards):
    repository = made(alone(guards), storage_quota=1000)
    refused = word_of(lambda: repository.put(KEY, bytes(5000))) is not None
    repository.close()
    left = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(os.path.join(TOP, 'own/data')) for name in names)
    return refused and left < 1000


def locked_repository(guards):
    made(alone(())).close()
    repository = opened(alone(guards), lock=False)
    return word_of(lambda: repository.put(KEY, b'data')) == ''


def kept_folder_repository(guards):
    os.mkdir(os.path.join(TOP, 'own'))
    os.chown(os.path.join(TOP, 'own'), 65534, 65534)
    os.chmod(TOP, 0o755)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    repository = made(alone(guards))
    try:
        repository.destroy()
    except PermissionError:
        return False
    return os.listdir(repository.path) == []


def whole_close_repository(guards):
    class Told(Repository):
        def close(self):
            os.kill(os.getpid(), signal.SIGTERM)
            super().close()

    def end(*_):
        raise InterruptedError

    repository = made(alone(guards, Told))
    signal.signal(signal.SIGTERM, end)
    try:
        repository.close()
    except InterruptedError:
        return repository.lock is None
    return False


def unbounded_repository(guards):
    made(alone(()), storage_quota=1000).close()
    return opened(alone(guards)).storage_quota == 0


def patient_timer(guards):
    return alone(guards, TimeoutTimer)(timeout=3600).sleep_interval <= 1


def own_url_server(guards):
    try:
        server(guards).open(os.path.join(TOP, 'other'))
    except PathNotAllowed as err:
        return 'ssh://own@' in str(err.args[0])
    return False


def hidden_accounts_server(guards):
    try:
        server(guards).open('/~root/x')
    except PathNotAllowed as err:
        return err.args[0] == '/~root/x'
    return False


def one_repository_server(guards):
    one = server(guards)
    one.restrict_to_repositories = [os.path.join(TOP, 'own'), os.path.join(TOP, 'other')]
    one.open(os.path.join(TOP, 'own'), create=True, exclusive=True)
    first = one.repository
    one.open(os.path.join(TOP, 'other'), create=True, exclusive=True)
    return first.lock is None and not os.path.exists(os.path.join(TOP, 'own/lock.exclusive'))


def append_only_server(guards):
    one = server(guards, append_only=True)
    one.open(os.path.join(TOP, 'own'), create=True, exclusive=True)
    return one.repository.append_only


def guards_there_are():
    modules = [answers]
    for package in (launcher.guards, launcher.comfort):
        modules += [importlib.import_module('%s.%s' % (package.__name__, each.name)) for each in pkgutil.iter_modules(package.__path__)]
    return {name: found for module in modules for name, found in vars(module).items()
            if inspect.isclass(found) and issubclass(found, BASES) and found.__module__ == module.__name__}


def case_of(name):
    wanted = name.replace('_', '').lower()
    return next((case for title, case in globals().items() if title.replace('_', '') == wanted and inspect.isfunction(case)), None)


def tried(case, guards, name):
    """Runs a case in a process and a folder of its own."""
    global TOP
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = 'ended'
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            for each in range(3):
                os.dup2(nothing, each)
            TOP = os.path.join(TOP, name + ('-with' if guards else '-without'))
            os.mkdir(TOP)
            os.environ.update(BORG_BASE_DIR=TOP, USER='own', HOME=os.path.join(TOP, 'home'))
            said = 'held' if case(guards) else 'let through'
        except BaseException as err:
            said = '%s: %s' % (type(err).__name__, err)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def order_of(words):
    prepared = install.prepare(limits.read(words))
    return {
        'repository': [each.__name__ for each in prepared.repository.__mro__],
        'server': [each.__name__ for each in prepared.server.__mro__],
        'calls': sorted(prepared.server.rpc_methods),
    }


def main():
    setup_logging()
    there_are = guards_there_are()
    cases = {name: (case_of(name), guard) for name, guard in there_are.items()}
    found = {name: {'with': tried(case, (guard,), name), 'without': tried(case, (), name)}
             for name, (case, guard) in cases.items() if case is not None}
    kinds = {
        'tenant': ['--account', 'own', '--sessions', '5', '--memory', 'auto', '--min-free', 'auto', '--',
                   'serve', '--restrict-to-repository', '/repos/own'],
        'several': ['--account', 'own', '--sessions', '5', '--memory', 'auto', '--min-free', 'auto', '--repositories', '2', '--',
                    'serve', '--restrict-to-path', '/repos/own'],
        'admin': ['--account', 'own', '--sessions', '5', '--memory', 'auto', '--', 'serve', '--restrict-to-path', '/repos'],
        'own': ['--', 'check', '/repos/own'],
        'maintenance': ['--maintenance', '--', 'compact', '/repos/own'],
        'asking': ['--ask', '3', '--', 'compact', '/repos/own'],
    }
    known = rpc.unknown()
    # As a newer borg might have it.
    type.__setattr__(Repository, 'rename_everything', lambda _: None)
    RepositoryServer.rpc_methods = (*RepositoryServer.rpc_methods, 'rename_everything')
    orders = {kind: order_of(words) for kind, words in kinds.items()}
    vars(rpc)['PARAMETERS']['Repository']['put'] = 'id data'
    vars(rpc)['PARAMETERS']['Repository']['no_such_call'] = ''
    print(json.dumps({'cases': found, 'untried': sorted(name for name, (case, _) in cases.items() if case is None),
                      'orders': orders, 'known': known, 'unknown': rpc.unknown()}))


main()
