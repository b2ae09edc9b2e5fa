"""What a process of an account below sshd could say to the session host, instead of the client that sshd's forced command starts.

    PYTHON -I door_attacks.py DOOR ACCOUNT OTHER ATTACK… | crowd COUNT

Each attack is a process of its own, as a forced command is. This process, its parent, stands for sshd's process of the account, which has root's
above it. Each attack prints one line, its name and whether it was served or refused, and ends. `crowd` leaves so many connections in the door's
queue that are gone already, prints a dot for each, and ends with its standard input."""

import array
import os
import select
import signal
import socket
import struct
import sys

DOOR, ACCOUNT, OTHER = sys.argv[1:4]
#: SCM_MAX_FD of the kernel: no message carries more.
MOST = 253
#: Bytes: a message of this length is cut (MSG_TRUNC).
LONG = 200_000


def message(account=ACCOUNT, command='borg serve'):
    return ('%s\0%s\0%s' % (account, '192.0.2.1 1024 192.0.2.2 22', command)).encode('utf-8', 'surrogateescape')


def knock():
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.connect(DOOR)
    return door


def hand_over(door, descriptors, said=None, *more):
    """more: ancillary data beside the descriptors."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', descriptors))] if descriptors else []
    door.sendmsg([message() if said is None else said], [*rights, *more])


def ending(door):
    """How the attack ended. The host must answer or close: a client has no other way out."""
    door.settimeout(300)
    while True:
        try:
            heard = door.recv(64)
        except ConnectionResetError:
            # The host has closed and left something unread. The kernel tells that once, before the host's last words.
            continue
        if heard in (b'on', b''):
            return 'served' if heard else 'refused'


def streams():
    """A standard input at its end, and two that nobody reads."""
    read, write = os.pipe()
    os.close(write)
    nothing = os.open('/dev/null', os.O_RDWR)
    return [read, nothing, nothing]


def serve(descriptors, said=None, *more):
    """Does all that a client does."""
    with knock() as door:
        hand_over(door, descriptors, said, *more)
        for each in set(descriptors) - {door.fileno()}:
            os.close(each)
        if not door.recv(64).startswith(b'session '):
            return 'refused'
        try:
            door.send(b'go')
        except (BrokenPipeError, ConnectionResetError):
            return 'refused'
        return ending(door)


def many(count):
    return lambda: serve([os.dup(each) for each in (streams() * count)[:count]])


def odd(make):
    """Hands over the same thing as all three streams."""
    return lambda: serve([os.dup(make()) for _ in range(3)])


def pair():
    """One end of a pair of sockets. The other one is already closed."""
    return socket.socketpair()[0].detach()


def listener():
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind('')
    door.listen()
    return door.detach()


def epoll():
    inner = select.epoll()
    inner.register(os.pipe()[0])
    return os.dup(inner.fileno())


def netlink():
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).detach()


def cycles():
    """Sockets that are in each other's queues and in the host's queue. Only the kernel's own garbage collector finds them."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for _ in range(8):
        socket.send_fds(left, [b'x'], [left.fileno(), right.fileno()] * 8)
    return serve([left.fileno(), right.fileno(), os.dup(right.fileno())])


def itself():
    """Hands over its own end of the connection as standard output. So the session holds it, and the host does not see that this process has gone.
    Standard input does not end either: the session holds both of its ends."""
    door = knock()
    read, write = os.pipe()
    hand_over(door, [read, door.fileno(), write])
    door.recv(64)
    door.send(b'go')
    return ending(door)


def unheard(*said):
    """Sends messages without waiting for answers. The first one is a good one."""
    def attack():
        door = knock()
        hand_over(door, streams())
        for each in said:
            door.send(each)
        return ending(door)
    return attack


def bare(said, descriptors=()):
    def attack():
        door = knock()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LONG)
        hand_over(door, descriptors() if callable(descriptors) else descriptors, said)
        return ending(door)
    return attack


def credentials():
    """Credentials of another process, which the kernel refuses. Then its own, for which nobody has asked."""
    def with_pid(pid):
        return (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack('3i', pid, os.getuid(), os.getgid()))
    try:
        serve(streams(), None, with_pid(1))
    except PermissionError:
        return serve(streams(), None, with_pid(os.getpid()))


def goes_twice():
    door = knock()
    hand_over(door, streams())
    door.recv(64)
    for _ in range(2):
        door.send(b'go')
    return ending(door)


def floods_after():
    """Begins a session with one message, and sends as many messages full of descriptors as possible after it."""
    door = knock()
    hand_over(door, streams())
    door.recv(64)
    door.send(b'go')
    door.setblocking(False)
    full = streams() * 84
    try:
        while True:
            hand_over(door, full, b'x')
    except OSError:
        return ending(door)


def lingering():
    """Three descriptors of one connection on this machine. Its other end reads nothing, and closing waits until that has read everything."""
    listens = socket.create_server(('127.0.0.1', 0))
    sends = socket.create_connection(listens.getsockname())
    sends.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
    sends.setblocking(False)
    try:
        while True:
            sends.send(b'x' * LONG)
    except BlockingIOError:
        pass
    # This lasts as long as this process lives.
    KEPT.extend((listens, listens.accept()[0]))
    return [each.detach() for each in (sends.dup(), sends.dup(), sends)]


KEPT: list[socket.socket] = []


def lingers_gone():
    """Only the process that listens at the door still has the sockets when it closes them."""
    door = knock()
    sockets = lingering()
    hand_over(door, sockets)
    for each in sockets:
        os.close(each)
    door.close()
    return stays()


def lingers_behind():
    """The session ends only when this process has closed what it has handed over."""
    door = knock()
    (read, write), nothing = os.pipe(), os.open('/dev/null', os.O_RDWR)
    hand_over(door, [read, nothing, nothing])
    door.recv(64)
    door.send(b'go')
    sockets = lingering()
    hand_over(door, sockets, b'x')
    for each in sockets:
        os.close(each)
    ending(door)
    os.close(write)
    return stays()


def stays():
    os.write(1, b'lingers\n')
    sys.stdin.read()
    return 'gone'


def passed_on():
    """Lets a child go on with the connection while this process waits. What counts is who has connected."""
    door = knock()
    hand_over(door, streams())
    pid = os.fork()
    if pid == 0:
        door.recv(64)
        door.send(b'go')
        os._exit(0)
    os.waitpid(pid, 0)
    return ending(door)


def two_doors():
    first, second = knock(), knock()
    second.settimeout(300)
    closed = second.recv(1) == b''
    hand_over(first, streams())
    first.recv(64)
    first.send(b'go')
    return '%s at %s' % (ending(first), 'one' if closed else 'two')


ATTACKS = {
    'no descriptor': lambda: serve([]), 'one': many(1), 'two': many(2), 'four': many(4), '200': many(200), 'the most': many(MOST),
    'sockets': odd(pair), 'a listening socket': odd(listener), 'a netlink socket': odd(netlink),
    'a folder': odd(lambda: os.open('/', os.O_RDONLY)), 'no file, only a path': odd(lambda: os.open('/etc/passwd', os.O_PATH)),
    'its own memory': odd(lambda: os.open('/proc/self/mem', os.O_RDWR)), 'an epoll': odd(epoll), 'cycles': cycles, 'itself': itself,
    'another name': lambda: serve(streams(), message(OTHER)), 'no name': lambda: serve(streams(), b'\0\0'),
    'a name of two lines': lambda: serve(streams(), message(ACCOUNT + '\n' + OTHER)),
    'no text': lambda: serve(streams(), b'\xff\xfe\0\xff\0\xff'),
    'not text in a command': lambda: serve(streams(), message(command='borg serve \udcff')),
    'nothing': bare(b''), 'nothing with descriptors': bare(b'', streams), 'one byte': bare(b'x'), 'too much': bare(b'x' * LONG, streams),
    'a good beginning of too much': bare(message() + b' ' * LONG, streams),
    'go at once': unheard(b'go'), 'two good ones': unheard(message()), 'a word that is none': unheard(b'gone'), 'nothing for go': unheard(b''),
    'credentials': credentials, 'goes twice': goes_twice, 'floods after': floods_after, 'passed on': passed_on, 'two doors': two_doors,
    'never goes': unheard(), 'lingers, gone': lingers_gone, 'lingers, behind': lingers_behind,
}


def crowd(count):
    """Each connection has a process of its own, which stays: the host lets in only one connection of a process. Half of them have sent a request."""
    stay, end = os.pipe()
    for number in range(count):
        if os.fork() == 0:
            os.close(end)
            with knock() as door:
                if number % 2:
                    door.send(message())
            os.write(1, b'.')
            os.read(stay, 1)
            os._exit(0)
    sys.stdin.read()


def tell(name, attack):
    try:
        found = attack()
    except Exception as err:
        found = '%s: %s' % (type(err).__name__, err)
    os.write(1, ('%s: %s\n' % (name, found)).encode())


signal.signal(signal.SIGPIPE, signal.SIG_IGN)
wanted = sys.argv[4:]
if wanted[:1] == ['crowd']:
    crowd(int(wanted[1]))
else:
    for each in wanted:
        if os.fork() == 0:
            tell(each, ATTACKS[each])
            os._exit(0)
    for _ in wanted:
        os.wait()
