"""What a session is from inside, in the very place in which it would go on to serve its client. One line of JSON on standard output.

The test puts this file beside the installed launcher, and a call of it before borg's (same-session.test.ts)."""

import ctypes
import errno
import faulthandler
import gc
import json
import locale
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import time

import borg.archiver

libc = ctypes.CDLL(None, use_errno=True)
#: linux/prctl.h: what can be asked without changing anything, by the number of the question.
ASKED = {'PDEATHSIG': 2, 'DUMPABLE': 3, 'KEEPCAPS': 7, 'TIMING': 13, 'SECCOMP': 21, 'SECUREBITS': 27, 'TIMERSLACK': 30, 'CHILD_SUBREAPER': 37,
         'NO_NEW_PRIVS': 39, 'THP_DISABLE': 42, 'IO_FLUSHER': 58, 'MDWE': 66}
#: These write their answer to where the first argument points.
WRITES = ('PDEATHSIG', 'CHILD_SUBREAPER')
TIMERS = {'REAL': signal.ITIMER_REAL, 'VIRTUAL': signal.ITIMER_VIRTUAL, 'PROF': signal.ITIMER_PROF}
#: By the number of the system call, which is the same on all machines from 424 on (asm-generic/unistd.h).
PIDFD_OPEN, IO_URING_SETUP, LANDLOCK_RESTRICT = 434, 425, 446


def name_of(number):
    return errno.errorcode.get(number, str(number))


def told(attempt, *args):
    """The result of the attempt, in a word."""
    try:
        found = attempt(*args)
    except OSError as err:
        return name_of(err.errno)
    except Exception as err:
        return type(err).__name__
    return 'done' if found is None else found


def call(function, *args):
    ctypes.set_errno(0)
    found = function(*args)
    if found == -1:
        raise OSError(ctypes.get_errno(), '')
    return found


def system_call(number, *args):
    return call(libc.syscall, ctypes.c_long(number), *args)


def asked(name):
    answer = ctypes.c_int(-1)
    zeros = [ctypes.c_ulong(0)] * 4
    if name in WRITES:
        call(libc.prctl, ASKED[name], ctypes.byref(answer), *zeros[1:])
        return answer.value
    return call(libc.prctl, ASKED[name], *zeros)


def handler_of(number):
    found = signal.getsignal(number)
    return getattr(found, '__qualname__', None) or str(found)


def standard(stream):
    names = ('encoding', 'errors', 'line_buffering', 'write_through', 'newlines', 'name', 'mode')
    return {each: str(getattr(stream, each, None)) for each in names} | {
        'raw': type(stream.buffer.raw).__name__, 'buffer': type(stream.buffer).__name__, 'number': stream.fileno()}


def opened(path, flags):
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC))


def connected(kind, address):
    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX, kind) as door:
        door.settimeout(5)
        door.connect(address)


def bound(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(address)
        if not address.startswith('\0'):
            os.unlink(address)


def made(make, path, *args):
    make(path, *args)
    (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)


def renamed(path, other):
    os.rename(path, other)
    os.rename(other, path)


def forked():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def called_back():
    """Makes so many callbacks that libffi has to look into its own file again to make room for them."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int)
    return sum(function() for function in [kind(lambda: 1) for _ in range(3000)])


def attempts(places):
    """Each attempt fails, or leaves nothing behind. places: paths and numbers of this server, see the test."""
    own, other, run = places['own'], places['other'], places['run']
    flags = {'read': os.O_RDONLY, 'write': os.O_WRONLY, 'read and write': os.O_RDWR}
    found = {}
    named = {'the environment of another session': '/proc/%d/environ' % places['pid'], 'the memory of its parent': '/proc/%d/mem' % os.getppid(),
             'the status of its parent': '/proc/%d/status' % os.getppid()}
    for path in ('/etc/passwd', '/etc/shadow', '/dev/null', '/dev/urandom', '/dev/tty', '/dev/kmsg', '/proc/self/status', '/proc/self/mem',
                 '/proc/self/oom_score_adj', '/proc/1/environ', '/proc/sys/kernel/pid_max', '/sys/kernel', sys.executable,
                 run + '/session-terms.json', run + '/launcher/session.py', run + '/sshd_config', other + '/README', own, other,
                 '/', '/repos', '/sshkeys', '/tmp', '/root', '/run', *named):
        for how, flag in flags.items():
            found['open %s to %s' % (path, how)] = told(opened, named.get(path, path), flag)
    for folder in (own, other, '/repos', '/tmp', '/dev/shm', '/'):
        path = folder.rstrip('/') + '/made-by-the-test'
        for name, make, *args in (('file', os.mknod), ('folder', os.mkdir), ('fifo', os.mkfifo),
                                  ('link', lambda at: os.symlink('/', at)), ('hard link', lambda at: os.link('/etc/passwd', at)),
                                  ('device', os.mknod, 0o600 | 0o020000, os.makedev(1, 3))):
            found['make a %s in %s' % (name, folder)] = told(made, make, path, *args)
        found['make a socket in %s' % folder] = told(bound, path)
    found['be called back by ctypes'] = told(called_back)
    found['list the other'] = told(lambda: len(os.listdir(other)))
    found['truncate a program'] = told(os.truncate, run + '/borg-serve', 0)
    found['rename the own one'] = told(renamed, own, own + '-renamed')
    # While sessions start cold the host's door has another name.
    doors = [told(connected, socket.SOCK_SEQPACKET, places['door'] + each) for each in ('', '.away')]
    found['connect to the door of the role'] = next((each for each in doors if each != 'ENOENT'), 'ENOENT')
    for name, kind, address in (('session-ends', socket.SOCK_SEQPACKET, run + '/session-ends'),
                                ('the control socket', socket.SOCK_STREAM, run + '/control.sock'),
                                ('an abstract socket', socket.SOCK_STREAM, '\0' + places['abstract']),
                                ('sshd', socket.SOCK_STREAM, ('127.0.0.1', places['port']))):
        found['connect to ' + name] = told(connected, kind, address)
    found['listen at an abstract socket'] = told(bound, '\0%s-made' % places['abstract'])
    for name, pid in (('its parent', os.getppid()), ('the first process', 1), ('a session of another', places['pid']), ('itself', os.getpid())):
        found['signal ' + name] = told(os.kill, pid, 0)
        found['open %s as a descriptor' % name] = told(lambda at: os.close(system_call(PIDFD_OPEN, ctypes.c_int(at), ctypes.c_uint(0))), pid)
        found['trace ' + name] = told(call, libc.ptrace, 0x4206, ctypes.c_long(pid), None, None)
        found['limits of ' + name] = told(lambda at: resource.prlimit(at, resource.RLIMIT_CORE), pid)
        found['be nicer than ' + name] = told(os.setpriority, os.PRIO_PROCESS, pid, -1)
    for name in ('NPROC', 'NOFILE', 'CORE', 'DATA'):
        number = getattr(resource, 'RLIMIT_' + name)
        hard = resource.getrlimit(number)[1]
        found['raise the limit of ' + name] = told(resource.setrlimit, number, (hard, hard + 1))
    found |= {
        'fork': told(forked), 'be root': told(os.setuid, 0), 'be of the group of root': told(os.setgid, 0), 'take groups': told(os.setgroups, [0]),
        'be of the group of its role': told(os.setgid, places['role']),
        'leave the root folder': told(os.chroot, '/'),
        'mount': told(call, libc.mount, b'none', b'/tmp', b'tmpfs', ctypes.c_ulong(0), None), 'a session of its own': told(os.setsid),
        'a realtime turn': told(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),
        'no box any more': told(system_call, LANDLOCK_RESTRICT, ctypes.c_int(-1), ctypes.c_uint(0)),
        'a ring': told(system_call, IO_URING_SETUP, ctypes.c_uint(0), None),
        'the owner of its folder': told(os.chown, own, 0, -1),
    }
    return {name: str(each) for name, each in found.items()}


def keyrings():
    """keyctl(2), KEYCTL_DESCRIBE of the thread's, process', session's and user's."""
    number = {'x86_64': 250, 'aarch64': 219}.get(os.uname().machine)
    found = {}
    for name, ring in (('thread', -1), ('process', -2), ('session', -3), ('user', -4), ('user session', -5)):
        text = ctypes.create_string_buffer(256)
        answer = 'unknown' if number is None else told(system_call, number, ctypes.c_int(6), ctypes.c_int(ring), text, ctypes.c_size_t(256))
        found[name] = text.value.decode() if isinstance(answer, int) else answer
    return found


def logger(name):
    found = logging.getLogger(name)
    handlers = [(each, vars(each).get('stream')) for each in found.handlers]
    return [found.level, found.propagate, found.disabled, [
        [type(each).__name__, each.level, getattr(each.formatter, '_fmt', None), type(stream).__name__, stream is sys.stderr]
        for each, stream in handlers]]


def plain(value):
    """The value itself or, for an object that has no words of its own, its class."""
    return value if isinstance(value, (str, int, float, list, tuple, bytes, type(None))) else type(value).__name__


def look(server, places):
    mask = os.umask(0o777)
    os.umask(mask)
    ticket = {
        'environment': dict(os.environ), 'folder': os.getcwd(), 'umask': oct(mask),
        'ids': {'uid': os.getresuid(), 'gid': os.getresgid(), 'groups': sorted(os.getgroups())},
        'leads': {'session': os.getsid(0) == os.getpid(), 'group': os.getpgid(0) == os.getpid()},
        'asked': {name: told(asked, name) for name in ASKED},
        'personality': told(call, libc.personality, ctypes.c_ulong(0xFFFFFFFF)),
        # Not the time that is left: a session that asks the kernel too early for its group of processes tries again (crowd.py).
        'timers': {name: signal.getitimer(number)[1] for name, number in TIMERS.items()},
        'signals': {str(each): handler_of(each) for each in signal.valid_signals()},
        'blocked': sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))), 'pending': sorted(map(int, signal.sigpending())),
        'wakeup': signal.set_wakeup_fd(-1), 'nice': os.getpriority(os.PRIO_PROCESS, 0), 'scheduled': os.sched_getscheduler(0),
        'limits': {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith('RLIMIT_')},
        'descriptors': told(lambda: [each for each in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if told(os.fstat, each) != 'EBADF']),
        'inherits': [os.get_inheritable(each) for each in range(3)], 'blocks': [os.get_blocking(each) for each in range(3)],
        'keyrings': keyrings(), 'server': {name: str(plain(value)) for name, value in vars(server).items()},
        'python': {
            'stdin': standard(sys.stdin), 'stdout': standard(sys.stdout), 'stderr': standard(sys.stderr),
            'kept': [sys.__stdin__ is sys.stdin, sys.__stdout__ is sys.stdout, sys.__stderr__ is sys.stderr],
            'flags': str(sys.flags), 'path': sys.path, 'argv': sys.argv, 'warnings': sys.warnoptions, 'locale': locale.setlocale(locale.LC_ALL),
            'filesystem': [sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()], 'recursion': sys.getrecursionlimit(),
            'switch': sys.getswitchinterval(), 'gc': [gc.isenabled(), gc.get_threshold(), gc.get_debug()], 'zone': time.tzname,
            'temporary': tempfile.tempdir, 'timeout': socket.getdefaulttimeout(), 'hook': sys.excepthook is sys.__excepthook__,
            'loggers': {name: logger(name) for name in ('', *sorted(each for each in logging.root.manager.loggerDict if each.startswith('borg')))},
            'logging': [logging.root.manager.disable, logging.raiseExceptions], 'faults': faulthandler.is_enabled(),
            'interrupted': {name: str(plain(value)) for name, value in vars(borg.archiver.sig_int).items()},
            'trace': [sys.gettrace() is None, sys.getprofile() is None], 'bytecode': sys.dont_write_bytecode,
        },
    }
    # The attempts come last: one that succeeds and should not may change what is found above.
    return ticket | {'attempts': attempts(places)}


def tell(server):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'inside_session.json')) as file:
        places = json.load(file)[os.environ['USER']]
    os.write(1, (json.dumps({'pid': os.getpid(), 'found': look(server, places)}) + '\n').encode())
