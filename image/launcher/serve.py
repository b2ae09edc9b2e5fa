"""borg serve as this server runs it; sshd's forced command starts ../borg-serve.

    PYTHON -I borg-serve --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto -- serve --umask 0007 …

What stands behind "--" is borg's command line, all of it chosen by the server. What stands before, in pairs, are the limits of
the session; --session is there for /proc/PID/cmdline alone, where root recognises it by address and port without the right
to read its environment. Nothing, or --maintenance alone, is borg as the operator runs it here: without limits.

-I keeps PYTHON* variables, the working directory and user site-packages away from the program, and importing borg
directly, instead of through the entry point in /usr/bin, halves the time to the first answer.
"""

import errno
import os
import re
import sys

from launcher.account import quota_of_account
from launcher.crowd import expect_to_be_ended_first, give_way, refuse_beyond
from launcher.ending import end
from launcher.folder_lock import one_at_a_time
from launcher.process_limits import LAST_MEMORY, LEAST_MEMORY, allow_memory, limit_process, most_memory

# Words that a borg client sends behind "serve" to set how much its server tells it. Everything else it may send decides nothing.
LOG_LEVELS = ('--critical', '--error', '--warning', '--info', '--debug')


def client_words():
    """The words of the command that the client asked for, without quotes.

    The variable is taken out of the environment here, in the first line that runs and before borg is imported: borg parses
    it with its whole command line, and options such as --exclude-from make it open files while parsing (a memory bomb with
    /dev/zero). It is not dropped in the shell, because somebody who tests a new server with "borg --version" must get an
    answer, and only the original command tells. It is split, compared with fixed words, and never handed on.
    """
    command = os.environ.pop('SSH_ORIGINAL_COMMAND', '')
    words = [word.strip('\'"') for word in command[:4096].split()]
    while words and re.match(r'[A-Za-z_][A-Za-z0-9_]*=', words[0]):
        words.pop(0)  # as borg does: VARIABLE=value before the program
    return words


def asks_for_version(words):
    """`ssh ACCOUNT@HOST borg14 --version` is how users of hosted borg test a server; plain borg serve would wait for ever."""
    program = re.split(r'[/\\]', words[0])[-1] if words else ''
    return len(words) == 2 and program.startswith('borg') and words[1] in ('--version', '-V')


def asks_for_serve(words):
    """Whatever a client calls borg on the server (--remote-path may hold several words), the word behind it is serve."""
    return 'serve' in words[1:]


def path_of(arguments, option):
    """What the server has set behind this option; '' where it has not."""
    return next((after for word, after in zip(arguments, arguments[1:]) if word == option), '')


def own_path(arguments):
    """For the URL of a repository that the account may open."""
    folder = path_of(arguments, '--restrict-to-path')
    return path_of(arguments, '--restrict-to-repository') or (folder + '/NAME' if folder else '')


def refuse(arguments):
    from launcher.own_url import url
    sys.exit('This account is for BorgBackup only: there is no shell, no sftp and no other command here.\n'
             'Use it as a repository: borg init -e repokey-blake2 ' + url(own_path(arguments)))


def keep_repository_folder():
    """`borg delete REPOSITORY` ends by removing the repository's folder. An account may not remove a folder of /repos (and
    an admin may not either, where /repos is sticky), which plain borg answers with a traceback although the repository is
    gone. If nothing but the empty folder is left, that is success: `borg init` works in it again."""
    from borg.repository import Repository

    destroy = Repository.destroy

    def destroy_but_keep_folder(self):
        try:
            return destroy(self)
        except OSError as err:
            # EBUSY: somebody has mounted the repository's own file system there.
            if err.errno not in (errno.EACCES, errno.EPERM, errno.EBUSY) or os.listdir(self.path):
                raise

    Repository.destroy = destroy_but_keep_folder


def hold_append_only():
    """Under `serve --append-only` borg opens a repository without append-only where the client asks to create one, and goes
    on with that object even if creating it was refused because it exists already. A client that is not borg could send
    open(create=True) and then destroy(), and everything was gone (tried with 1.2.4; 1.4.0 reads the same)."""
    import functools

    from borg.remote import RepositoryServer

    open_repository = RepositoryServer.open

    @functools.wraps(open_repository)
    def open_append_only(self, *args, **kwargs):
        try:
            return open_repository(self, *args, **kwargs)
        finally:
            if self.append_only and self.repository is not None:
                self.repository.append_only = True

    RepositoryServer.open = open_append_only


def keep_locks():
    """What borg's own client never asks for, and its server does without a lock. A client that is not borg could write to a
    repository while somebody else compacts it: each takes the other's segments for left-overs, and what the compaction has
    just moved is gone for good, of an append-only repository, too (tried with 1.2.4; 1.4.0 reads the same). So nothing is written without the lock
    (--bypass-lock reads), and an append-only session breaks no lock but one whose process is dead. A lock knows its session by host and
    process: a session could also break its own, or have it released with a repository that it opened before."""
    import functools

    from borg.helpers import Error
    from borg.locking import Lock, LockError, LockErrorT
    from borg.remote import RepositoryServer
    from borg.repository import Repository

    from launcher.outcome import because

    prepare_txn, break_lock, check = Repository.prepare_txn, Repository.break_lock, Repository.check
    open_repository = RepositoryServer.open

    def hold(self, taken, has=Lock.got_exclusive_lock):
        """Where it wants the lock and has taken it, it must still have it."""
        if taken and self.do_lock and not (self.lock and has(self.lock)):
            raise because('lock-broken', Error('the lock of this session was broken; nothing more is written'))

    def still_has(lock):
        """Two looks by a path are a tenth of the time of a small object. The lock's own file has no name any more once it is broken;
        a file system that does not say so says it at the commit."""
        witness = getattr(lock, 'witness', None)
        if witness is not None and os.fstat(witness.fileno()).st_nlink > 0:
            return True
        if not lock.got_exclusive_lock():
            return False
        try:
            lock.witness = open(lock._lock.unique_name)
        except OSError:
            pass
        return True

    def undone_if_it_fails(change, self, *args, **kwargs):
        """borg goes on with a transaction that has begun and failed: without an index it knows of no object and of no quota."""
        try:
            return change(self, *args, **kwargs)
        except BaseException:
            self._rollback(cleanup=False)
            raise

    @functools.wraps(prepare_txn)
    def prepare_with_lock(self, transaction_id, do_cleanup=True):
        # Without cleaning up it only makes a missing index anew, as for `borg key import`, which takes no lock.
        if not self.do_lock and (do_cleanup or self.append_only):
            raise Error('this server writes to a repository only with its lock')
        hold(self, taken=self.lock is None or self.lock.is_exclusive)
        return undone_if_it_fails(prepare_txn, self, transaction_id, do_cleanup=do_cleanup)

    @functools.wraps(check)
    def check_or_undo(self, *args, **kwargs):
        return undone_if_it_fails(check, self, *args, **kwargs)

    def only_with_lock(change, at_once=False):
        @functools.wraps(change)
        def change_with_lock(self, *args, **kwargs):
            # Otherwise the transaction that it begins takes the lock.
            if at_once:
                hold(self, taken=True)
            else:
                hold(self, taken=self._active_txn, has=still_has)
            return change(self, *args, **kwargs)
        return change_with_lock

    @functools.wraps(break_lock)
    def break_dead_lock(self):
        if self.lock is not None:
            raise Error('this session has a lock itself')
        if not self.append_only:
            return break_lock(self)
        try:
            # Taking it removes the locks of dead processes, as for every session; with no time at all borg would not look again.
            Lock(os.path.join(self.path, 'lock'), exclusive=True, timeout=1).acquire().release()
        except (LockError, LockErrorT):
            raise Error('the lock is held by a process that is alive, and an append-only account cannot break it') from None

    @functools.wraps(open_repository)
    def open_one(self, *args, **kwargs):
        # Not whenever Python comes to it, which would take the lock away from the next.
        if self.repository is not None:
            self.repository.close()
        try:
            return open_repository(self, *args, **kwargs)
        except BaseException:
            # borg keeps the object of what could not be opened, or was refused: a client that goes on could break its lock.
            refused, self.repository = self.repository, None
            if refused is not None:
                refused.close()
            raise

    Repository.prepare_txn, Repository.check = prepare_with_lock, check_or_undo
    Repository.put, Repository.delete = only_with_lock(Repository.put), only_with_lock(Repository.delete)
    Repository.commit = only_with_lock(Repository.commit, at_once=True)
    Repository.break_lock = break_dead_lock
    RepositoryServer.open = open_one


def keep_config_readable():
    """borg writes the key that a client sends into the repository's config without looking at it, and a CR in it ends the line
    when the config is read: nobody could open the repository any more, not even on the server."""
    import functools

    from borg.helpers import Error
    from borg.repository import Repository

    save_key = Repository.save_key

    @functools.wraps(save_key)
    def save_plain_key(self, keydata):
        # borg's keys are some lines of base64, about 1 kB.
        if not re.fullmatch(rb'[\n -~]{0,16384}', keydata):
            raise Error('this is not a key of borg')
        return save_key(self, keydata)

    Repository.save_key = save_plain_key


# A passphrase is changed a few times in the life of a repository.
MOST_FORMER_KEYS = 100
FORMER_KEY = re.compile(r'\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-\d\d')


def keep_config():
    """borg reads a repository's config when it opens the repository, and writes all of it back when it saves a key or has checked a
    part: what somebody else has changed since was lost, the key, too. Here the rest is taken from the disk each time.

    And borg lets an append-only session overwrite the key, without which nobody can read the repository any more. Each key that one
    replaces stays in the folder former-keys of the repository, as `borg key export` writes it, where no client reaches it."""
    import configparser
    import functools
    import time

    from borg.helpers import Error, bin_to_hex
    from borg.platform import SaveFile, sync_dir
    from borg.repository import Repository

    save_key, save_config = Repository.save_key, Repository.save_config
    # What a check remembers there of where it has come to.
    CHECKED = 'last_segment_checked'

    def read(self):
        config = configparser.ConfigParser(interpolation=None)
        with open(os.path.join(self.path, 'config')) as file:
            config.read_file(file)
        if config.get('repository', 'id').strip() != bin_to_hex(self.id):
            raise Error('another repository was put in the place of this one')
        return config

    def keep(self, config, keydata):
        former = config.get('repository', 'key', fallback='').strip()
        if former in ('', keydata.decode().strip()):
            return
        folder = os.path.join(self.path, 'former-keys')
        os.makedirs(folder, exist_ok=True)
        sync_dir(self.path)
        count = sum(FORMER_KEY.fullmatch(name) is not None for name in os.listdir(folder))
        if count >= MOST_FORMER_KEYS:
            raise Error('the key of this repository was changed %d times: its server keeps the folder former-keys, '
                        'which has to be cleared there first' % count)
        name = '%s-%02d' % (time.strftime('%Y-%m-%dT%H-%M-%SZ', time.gmtime()), count)
        with SaveFile(os.path.join(folder, name), binary=False) as file:
            file.write('BORG_KEY %s\n%s\n' % (bin_to_hex(self.id), former))

    @functools.wraps(save_key)
    def save_key_and_keep(self, keydata):
        if not hasattr(self, 'id'):
            raise Error('no repository is open')
        with one_at_a_time(self.path):
            config = read(self)
            if self.append_only:
                keep(self, config, keydata)
            config.set('repository', 'key', keydata.decode())
            save_config(self, self.path, config)
            self.config = config

    @functools.wraps(save_config)
    def save_checked(self, path, config):
        if not os.path.exists(os.path.join(path, 'config')):
            return save_config(self, path, config)  # it is being created
        with one_at_a_time(path):
            latest = read(self)
            latest.remove_option('repository', CHECKED)
            if config.has_option('repository', CHECKED):
                latest.set('repository', CHECKED, config.get('repository', CHECKED))
            return save_config(self, path, latest)

    Repository.save_key, Repository.save_config = save_key_and_keep, save_checked


def keep_nonce():
    """The counter of the encryption never goes back: what an append-only session lowers would be used twice (AES-CTR)."""
    import functools

    from borg.helpers import Error
    from borg.repository import Repository

    commit_nonce_reservation = Repository.commit_nonce_reservation

    @functools.wraps(commit_nonce_reservation)
    def reserve_upwards(self, next_unreserved, start_nonce):
        if self.append_only and not (self.do_lock and next_unreserved > (start_nonce or 0)):
            raise Error('this server reserves nonces upwards, and only with the lock of the repository')
        return commit_nonce_reservation(self, next_unreserved, start_nonce)

    Repository.commit_nonce_reservation = reserve_upwards


def hide_other_accounts():
    """/~NAME/ in a URL is the home of that account, and the refusal names it: a tenant could ask which accounts there are.
    It also names where a link leads to: with IDENTITIES=shared /proc/PID/cwd is the repository of whose session that is."""
    import functools

    from borg.remote import PathNotAllowed, RepositoryServer

    resolve, open_repository = RepositoryServer._resolve_path, RepositoryServer.open
    own = os.environ.get('USER', '')

    @functools.wraps(resolve)
    def resolve_own(self, path):
        allowed = [*(self.restrict_to_repositories or []), *(self.restrict_to_paths or [])]
        home = re.match('/?~([^/]+)', os.fsdecode(path))
        if home and home.group(1) != own and any(os.path.basename(each) == own for each in allowed):
            raise PathNotAllowed(os.fsdecode(path))
        if home and home.group(1) == own:
            # As sshd found it in the account database, which the session's box keeps closed to all but admins.
            path = os.path.expanduser('~') + os.fsdecode(path)[home.end():]
        try:
            resolved = resolve(self, path)
        except OSError:
            # A link of /proc that the kernel keeps from this session.
            raise PathNotAllowed(os.fsdecode(path)) from None
        # Whatever the account may reach: a name that begins with a dot is the server's own, such as /repos/.borgserver.
        for each in map(os.path.realpath, allowed):
            if resolved.startswith(each + '/') and re.search('(^|/)[.]', resolved[len(each) + 1:]):
                raise PathNotAllowed(os.fsdecode(path))
        return resolved

    @functools.wraps(open_repository)
    def open_as_asked(self, path, *args, **kwargs):
        try:
            return open_repository(self, path, *args, **kwargs)
        except PathNotAllowed:
            pass
        # Out here, so that its traceback, which the client gets, has nothing of the first.
        raise PathNotAllowed(os.fsdecode(path))

    RepositoryServer._resolve_path = resolve_own
    RepositoryServer.open = open_as_asked


def bound_memory(setting, outcome):
    """borg serve holds what a client sends, in lists within lists without end, and the whole index of the repository, twice while
    it grows, and of `check` a third one; hints.N becomes ten times as large in memory. So what is allowed follows what is
    really there, up to half of the server's memory, and a session that wants more ends with a sentence."""
    import functools

    from borg.helpers import Error
    from borg.remote import RepositoryServer
    from borg.repository import Repository

    from launcher.outcome import because

    most = most_memory(setting)
    allowed = LEAST_MEMORY if setting == 'auto' else most
    sentence = ('this session needs more memory than the server allows it (the setting SESSION_MEMORY, here %s)'
                % (setting if setting == 'auto' else '%d MB' % (most // 1000000)))

    def follow(index, hints=0):
        nonlocal allowed
        wanted = min(LEAST_MEMORY + 8 * index + 16 * hints, most)
        if wanted > allowed:
            allowed = wanted
            allow_memory(allowed)

    def size(self, name):
        sizes = [entry.stat().st_size for entry in os.scandir(self.path) if re.fullmatch(name + r'\.[0-9]+', entry.name)]
        return max(sizes, default=0)

    def is_memory_error(err):
        return (isinstance(err, MemoryError) or any(isinstance(each, MemoryError) for each in err.args)
                or re.match('hashindex_(init|set) failed', str(err)))

    def with_words(method):
        @functools.wraps(method)
        def call(self, *args, **kwargs):
            try:
                return method(self, *args, **kwargs)
            except Exception as err:
                if not is_memory_error(err):
                    raise
            allow_memory(allowed + LAST_MEMORY)
            # What is in memory may not be whole: it must not be committed.
            self.transaction_doomed = because('memory', Error(sentence))
            raise self.transaction_doomed

        return call

    open_index, prepare_txn, update_index = Repository.open_index, Repository.prepare_txn, Repository._update_index
    put, delete, serve_all = Repository.put, Repository.delete, RepositoryServer.serve
    calls = 0

    @functools.wraps(open_index)
    def open_index_followed(self, *args, **kwargs):
        follow(size(self, 'index'))
        return open_index(self, *args, **kwargs)

    @functools.wraps(prepare_txn)
    def prepare_followed(self, *args, **kwargs):
        index, hints = size(self, 'index'), size(self, 'hints')
        follow(index, hints)
        # Were there too little in the middle of it, borg would take hints and index for damaged, and remove them.
        if (LEAST_MEMORY >> 2) + index + 10 * hints > allowed:
            raise because('memory', Error(sentence))
        return prepare_txn(self, *args, **kwargs)

    def follow_growth(self):
        if self.index is not None:
            # What is deleted is remembered, with 300 bytes each.
            follow(self.index.size(), 40 * len(self.shadow_index))

    @functools.wraps(update_index)
    def update_index_followed(self, *args, **kwargs):
        follow_growth(self)
        return update_index(self, *args, **kwargs)

    def follow_now_and_then(method):
        @functools.wraps(method)
        def call(self, *args, **kwargs):
            nonlocal calls
            calls += 1
            if calls % 4096 == 0:
                follow_growth(self)
            return method(self, *args, **kwargs)

        return call

    def serve_within_memory(self):
        try:
            return serve_all(self)
        except Exception as err:
            if not is_memory_error(err):
                raise
        allow_memory(allowed + LAST_MEMORY)
        if self.repository is not None:
            self.repository.close()
        outcome.fail(because('memory', Error(sentence)), '', self.repository.path if self.repository is not None else '')
        sys.exit('The server ended the session: ' + sentence + '.')

    Repository.open_index = open_index_followed
    Repository.prepare_txn = prepare_followed
    Repository._update_index = update_index_followed
    Repository.put = follow_now_and_then(put)
    Repository.delete = follow_now_and_then(delete)
    for name in RepositoryServer.rpc_methods:
        if name in vars(Repository):
            setattr(Repository, name, with_words(getattr(Repository, name)))
    RepositoryServer.serve = serve_within_memory


def bound_repositories(most, folder):
    """Each repository is a dozen files, and has the account's quota anew: made without end, they would use up inodes and disk. What is
    counted are folders, since `borg init --make-parent-dirs` makes as many as fit into a path; not those of a repository, and
    what that is only borg can say: below it borg makes no other."""
    import functools

    from borg.repository import Repository

    from launcher.repository_names import DEEPEST

    create = Repository.create

    def count(self):
        found, left = 0, [folder]
        while left and found < most:
            path = left.pop()
            try:
                below = [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue  # it has just been deleted, or is somebody else's
            if not self.is_repository(path):
                found += len(below)
                left += below
        return found

    def missing(path):
        found = 0
        while not os.path.lexists(path):
            path, found = os.path.dirname(path), found + 1
        return found

    @functools.wraps(create)
    def create_within(self, path):
        self.check_can_create_repository(path)
        if os.path.relpath(path, folder).count('/') >= DEEPEST:
            end('A repository of this account lies at most %d folders deep on this server.' % DEEPEST, leave=os._exit)
        with one_at_a_time(folder):
            if count(self) + missing(path) > most:
                end('This account may have %d repositories and folders on this server, and not more '
                    '(the setting REPOSITORIES_PER_ACCOUNT).' % most, leave=os._exit)  # borg answers SystemExit with a traceback
            return create(self, path)

    Repository.create = create_within


def keep_disk_floor(setting):
    from launcher import disk_floor

    # What the largest compaction needs, as the server has last seen it.
    try:
        with open(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'largest-compaction')) as file:
            need = int(file.read(32))
    except (OSError, ValueError):
        need = 0
    disk_floor.install(setting, os.environ.get('BORG_BASE_DIR', '/'), need)


def tell_outcome():
    from launcher.outcome import Outcome

    outcome = Outcome(os.environ.get('BORG_BASE_DIR', '/'))
    outcome.connect(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'session-ends'))
    return outcome


def remember_signatures():
    """borg works out the parameters of a method (inspect.signature) for each message anew: 20 us, and more through each of the functions
    here that stand before it. Kept, that is as good as nothing (tried with 1.2.4; 1.4.0 reads the same)."""
    import inspect

    from borg.remote import RepositoryServer
    from borg.repository import Repository

    for name in RepositoryServer.rpc_methods:
        for owner in (RepositoryServer, Repository):
            method = vars(owner).get(name)
            if inspect.isfunction(method):
                method.__signature__ = inspect.signature(method)


def keep_read_buffer():
    """borg reads each message into 10 MB of memory, of which it gives back what it did not need. By default the C library asks the
    kernel for that much each time, and the kernel clears what was used of it. Once more has been freed, it keeps as much (mallopt(3),
    M_MMAP_THRESHOLD): half of the system time of a backup of small files."""
    from borg.remote import BUFSIZE

    bytes(BUFSIZE + (1 << 20))


def lift_quota():
    """Above its quota borg refuses delete, prune and compact, too (borg issue 8948), also on the server: it then finds the quota in
    the repository's config. For this one process it counts as none; the config stays as it is, whatever ends the process."""
    from borg.repository import Repository

    open_repository = Repository.open

    def open_without_quota(self, *args, **kwargs):
        open_repository(self, *args, **kwargs)
        self.storage_quota = 0

    Repository.open = open_without_quota


def look_often_for_lock():
    """Where borg may wait for hours it looks for the lock only once a minute: between frequent backups it would hardly find it free."""
    import borg.locking

    class Timer(borg.locking.TimeoutTimer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.sleep_interval = min(self.sleep_interval, 1.0)

    borg.locking.TimeoutTimer = Timer


def borg_without_selftest():
    """borg's main function. With the self-test comes borg's test suite, whose import alone takes a quarter of the time to the first
    answer and tries what the file system can do, in temporary files."""
    import types

    selftest = types.ModuleType('borg.selftest')
    selftest.selftest = lambda logger: None
    sys.modules['borg.selftest'] = selftest
    from borg.archiver import main
    return main


REST = ('This server has borg %s, and serves it only. Use a repository of it with borg 1: borg init -e repokey-blake2 %s\n'
        'borg 2 can take over what is in it: borg2 transfer --from-borg1 --other-repo %s')


def refuse_borg2(arguments):
    """`borg2` asks for `borg serve --rest`, and of an answer in another protocol it only says that it is unexpected."""
    from borg import __version__

    from launcher.own_url import url

    end(REST % (__version__, url(own_path(arguments)), url(own_path(arguments))))


def box_of(arguments, limits, options):
    """The box of a session."""
    from launcher.confinement import Session

    repository, folder = (path_of(arguments, each) or None for each in ('--restrict-to-repository', '--restrict-to-path'))
    admin = repository is None and '--repositories' not in limits
    return Session(repository, folder, admin, options.get('--box', 'auto'))


def serve(arguments, limits, options):
    if arguments[:1] != ['serve']:  # borg on the server itself, perhaps before an operator's terminal
        from launcher.terminal import guard
        guard()
    if limits:
        sessions, _ = refuse_beyond(int(limits['--sessions']), limits['--account'])
        limit_process(limits['--memory'])
        expect_to_be_ended_first(0)
    # The server runs borg's self-test once when it starts; for every session it would double time and memory
    # (borg's documentation recommends this to hosters).
    os.environ['BORG_SELFTEST'] = 'disabled'
    main = borg_without_selftest()
    from launcher import lock_folder
    lock_folder.share()
    keep_repository_folder()
    hold_append_only()
    keep_locks()
    from launcher import unfinished
    unfinished.hold_quota()
    if arguments[:1] == ['serve']:
        keep_config()  # `borg config` on the server is there to change it
        from launcher.confinement import hold_to_one
        from launcher.rpc import serve_only_known
        serve_only_known()
        session = box_of(arguments, limits, options)
        hold_to_one(session)
    keep_config_readable()
    keep_nonce()
    hide_other_accounts()
    if arguments[:1] == ['serve']:
        from launcher import own_url, repository_names
        own_url.install()
        repository_names.install(os.environ['BORG_BASE_DIR'])
    from launcher import free_space, read_only
    free_space.install()
    if limits:
        if '--min-free' in limits:
            keep_disk_floor(limits['--min-free'])
        from launcher import tiny_segments
        tiny_segments.install(path_of(arguments, '--restrict-to-path') if '--repositories' in limits else None)
        outcome = tell_outcome()
        bound_memory(limits['--memory'], outcome)
        if '--repositories' in limits:
            bound_repositories(int(limits['--repositories']), path_of(arguments, '--restrict-to-path'))
        # Again: of many that began at once, some were not to be seen yet.
        _, older = refuse_beyond(int(limits['--sessions']), limits['--account'], sessions)
        give_way(older)
    read_only.install()
    if limits:
        outcome.install()
    remember_signatures()
    keep_read_buffer()
    if arguments[:1] == ['serve']:
        from launcher.box import NoBox
        try:
            session.begin()
        except NoBox:
            end('This server serves nobody without a box of its kernel (the setting BOX), and has none now.')
    elif '--reach' in options:
        from launcher.confinement import confine_own
        from borg.helpers import Error
        from launcher.box import NoBox
        try:
            confine_own(*(options['--' + each] for each in ('root', 'repository', 'base', 'reach')), options.get('--box', 'auto'))
        except NoBox as err:
            print('BOX=required, and this kernel has no box (Landlock: %s)' % err, file=sys.stderr)
            sys.exit(2)
        except Error as err:
            print(err.get_message(), file=sys.stderr)
            sys.exit(2)
    sys.argv = ['borg'] + arguments
    main()


def run():
    if sys.argv[1:2] == ['--check']:
        from launcher.start_check import report
        return report(sys.argv[2])
    words = client_words()
    before, arguments = sys.argv[1:sys.argv.index('--')], sys.argv[sys.argv.index('--') + 1:]
    if asks_for_version(words):
        from borg import __version__
        print('borg ' + __version__)
    elif asks_for_serve(words):
        if '--rest' in words:
            refuse_borg2(arguments)
        if before[:1] == ['--maintenance']:
            before = before[1:]
            lift_quota()
            look_often_for_lock()
        options = dict(zip(before[::2], before[1::2]))
        limits = options if '--sessions' in options else {}
        if arguments[:1] == ['serve']:
            arguments += quota_of_account(limits.get('--account'))
        # As plain borg serve does, let the client choose how much its own server tells it: `borg check -v` shows the
        # server's progress only then. The last one counts.
        serve(arguments + [word for word in words if word in LOG_LEVELS], limits, options)
    else:
        refuse(arguments)
