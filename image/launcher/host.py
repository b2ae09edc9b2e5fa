"""The session host: it has borg loaded, and each session is a fork of it.

sshd's forced command is a small client (image/session-client) that hands over its three standard streams. The kernel says who that is; what the
session may is in the terms that root has written, by the group of its role. Of what the client says only the account counts, among those
with its user id, and three answers: version, serve, or a refusal.

It reads nothing that a client of borg's sends, waits for nobody, and has one thread. Its lines to the daemon, and the daemon's to it, are
told in docs/session-host.md. When its standard input ends it closes its doors, and itself ends with its last session.
"""

import dataclasses
import functools
import gc
import json
import os
import resource
import select
import selectors
import signal
import socket
import sys
import time

from launcher import crowd, hosted, rpc
from launcher.comfort import selftest
from launcher.peer import Peer, connection_above
from launcher.people import People, Person
from launcher.speaker import descent
from launcher.title import Title

MOST_BYTES = 16_384
#: Seconds for a client to say what it wants, and for the daemon to say whose connection it is.
PATIENCE = 10
#: Seconds for a session whose client is gone to give its locks back.
FAREWELL = 5
#: Connections of one user id that have not said it yet.
MOST_SILENT = 64
BACKLOG = 4096


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a client has asked for, and what is known of it. known: sessions that its account has already."""

    role: object
    person: Person
    address: str
    command: str
    known: int


class Session:
    def __init__(self, peer, account, pid):
        self.peer, self.account, self.pid = peer, account, pid
        self.start = descent(pid)[1]
        self.pidfd = os.pidfd_open(pid)
        self.leave_by = None

    def signal(self, number):
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass


class Host:
    def __init__(self, terms):
        self.terms = terms
        self.people = People(terms.passwd)
        self.title = Title()
        #: Whether there may be sessions of accounts that this host knows nothing of.
        self.others = crowd.any_session()
        self.selector = selectors.DefaultSelector()
        # Of clients that wait only their end is looked for: what they say is for their session to read.
        self.ends = select.epoll()
        self.selector.register(self.ends, selectors.EVENT_READ, self.lose_clients)
        self.silent = {}
        self.asking = {}
        self.sessions = {}
        self.count = {}
        self.said = b''
        self.unsaid, self.speaks = bytearray(), False
        self.doors = [self.open_door(role) for role in terms.roles]
        for each in (0, 1):
            os.set_blocking(each, False)
        self.selector.register(0, selectors.EVENT_READ, self.hear_daemon)

    # Who comes in

    def open_door(self, role):
        """Only who has the group of the role reaches it. It takes the place of an earlier host's in one step: nobody finds none."""
        folder = os.path.join(self.terms.doors, role.group)
        os.makedirs(folder, mode=0o750, exist_ok=True)
        os.chown(folder, 0, role.gid)
        os.chmod(folder, 0o750)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.path.join(folder, 'door')
        new = '%s.%d' % (path, os.getpid())
        door.bind(new)
        os.chmod(new, 0o666)
        door.listen(BACKLOG)
        door.setblocking(False)
        os.rename(new, path)
        self.selector.register(door, selectors.EVENT_READ, lambda: self.let_in(door))
        return door

    def let_in(self, door):
        try:
            connection, _ = door.accept()
        except OSError:
            return  # it is gone again, or there is no descriptor left for it
        connection.setblocking(False)
        try:
            peer = Peer(connection)
        except OSError:
            return connection.close()
        if peer.uid == 0 or sum(each.uid == peer.uid for each, _ in self.silent.values()) >= MOST_SILENT:
            return self.refuse(peer)
        self.silent[connection.fileno()] = peer, time.monotonic() + PATIENCE
        self.selector.register(connection, selectors.EVENT_READ, lambda: self.hear(peer))

    def refuse(self, peer):
        """Its client begins a session by itself then."""
        self.others = True
        peer.connection.close()

    def hear(self, peer):
        """What a client wants, once."""
        self.selector.unregister(peer.connection)
        del self.silent[peer.connection.fileno()]
        streams = []
        taken = False
        try:
            said, streams, flags, _ = socket.recv_fds(peer.connection, MOST_BYTES, 3)
            if len(streams) == 3 and not flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                taken = self.understand(peer, said, streams)
        except OSError:
            pass
        finally:
            if not taken:
                close_all(streams)
                self.refuse(peer)

    def understand(self, peer, said, streams):
        """Whether it is taken care of."""
        account, _, rest = said.decode('utf-8', 'surrogateescape').partition('\0')
        address, _, command = rest.partition('\0')
        role, person = self.terms.role_of(peer.groups), self.people.find(account)
        connection = connection_above(peer.pid, peer.uid)
        if role is None or person is None or person.uid != peer.uid or not self.terms.is_of(person, role) or connection is None:
            return False
        begin = functools.partial(self.open_session, peer, connection, role, person, address, command, streams)
        if self.terms.shared:
            # One user id has many accounts: which of them this is the daemon has read in sshd's log, and nobody else can tell.
            self.asking.setdefault((*connection, account), []).append((peer, streams, time.monotonic() + PATIENCE, begin))
            self.tell(event='asks', connection=connection, account=account)
            return True
        return begin()

    # Sessions

    def open_session(self, peer, connection, role, person, address, command, streams):
        wanted = Wanted(role, person, address, command, self.count.get(person.name, 0))
        try:
            pid = os.fork()
        except OSError as err:
            self.tell(event='trouble', what='no session could be begun: %s' % err)
            return False
        if pid == 0:
            hosted.begin(self, peer, streams, wanted)
        close_all(streams)
        session = Session(peer, person.name, pid)
        self.sessions[pid] = session
        self.count[person.name] = wanted.known + 1
        self.selector.register(session.pidfd, selectors.EVENT_READ, lambda: self.close_session(session))
        self.ends.register(peer.connection, select.EPOLLRDHUP)
        self.tell(event='began', pid=pid, start=session.start, client=peer.pid, clientStart=peer.start, connection=connection,
                  uid=peer.uid, account=person.name)
        return True

    def lose_clients(self):
        for number, _ in self.ends.poll(0):
            self.ends.unregister(number)
            for session in self.sessions.values():
                if session.peer.connection.fileno() == number:
                    session.signal(signal.SIGTERM)
                    session.leave_by = time.monotonic() + FAREWELL

    def close_session(self, session):
        _, status, usage = os.wait4(session.pid, 0)
        self.selector.unregister(session.pidfd)
        os.close(session.pidfd)
        del self.sessions[session.pid]
        left = self.count[session.account] - 1
        if left:
            self.count[session.account] = left
        else:
            del self.count[session.account]
        if session.leave_by is None:
            self.ends.unregister(session.peer.connection)
        code = os.waitstatus_to_exitcode(status)
        if code == hosted.WITHDRAWN:
            self.others = True
        try:
            session.peer.connection.send(b'%d' % (code if code >= 0 else 128 - code))
        except OSError:
            pass
        session.peer.connection.close()
        self.tell(event='ended', pid=session.pid, start=session.start, code=max(code, 0), signal=-code if code < 0 else None,
                  cpu=round(usage.ru_utime + usage.ru_stime, 4), memory=usage.ru_maxrss * 1024)

    # The daemon

    def tell(self, **facts):
        """Where the daemon does not read just now the lines are kept: it must hear of every session."""
        self.unsaid += (json.dumps(facts) + '\n').encode()
        self.say()

    def say(self):
        try:
            while self.unsaid:
                del self.unsaid[:os.write(1, self.unsaid)]
        except BlockingIOError:
            pass
        except OSError:
            self.unsaid.clear()  # there is no daemon any more
        if bool(self.unsaid) != self.speaks:
            self.speaks = bool(self.unsaid)
            if self.speaks:
                self.selector.register(1, selectors.EVENT_WRITE, self.say)
            else:
                self.selector.unregister(1)

    def hear_daemon(self):
        try:
            said = os.read(0, 65_536)
        except BlockingIOError:
            return
        if not said:
            return self.retire()
        *lines, self.said = (self.said + said).split(b'\n')
        for line in lines:
            words = line.decode('utf-8', 'replace').split(' ')
            if words == ['ping']:
                self.tell(event='pong')
            elif len(words) == 4 and words[0] == 'account' and words[1].isdigit() and words[2].isdigit():
                self.hear_account((int(words[1]), int(words[2])), words[3])

    def hear_account(self, connection, name):
        for key in [each for each in self.asking if each[:2] == connection]:
            for peer, streams, _, begin in self.asking.pop(key):
                if key[2] != name or not begin():
                    close_all(streams)
                    self.refuse(peer)

    def retire(self):
        self.selector.unregister(0)
        for door in self.doors:
            self.selector.unregister(door)
            door.close()
        self.doors = []

    # The loop

    def pass_time(self):
        now = time.monotonic()
        for number, (peer, until) in list(self.silent.items()):
            if until < now:
                self.selector.unregister(peer.connection)
                del self.silent[number]
                self.refuse(peer)
        for key, waiting in list(self.asking.items()):
            for peer, streams, until, _ in waiting:
                if until < now:
                    close_all(streams)
                    self.refuse(peer)
            self.asking[key] = [each for each in waiting if each[2] >= now]
            if not self.asking[key]:
                del self.asking[key]
        for session in self.sessions.values():
            if session.leave_by is not None and session.leave_by < now:
                session.signal(signal.SIGKILL)

    def run(self):
        seen = time.monotonic()
        while self.doors or self.sessions:
            timed = self.silent or self.asking or any(each.leave_by is not None for each in self.sessions.values())
            for key, _ in self.selector.select(1 if timed else None):
                key.data()
            if timed:
                self.pass_time()


def close_all(descriptors):
    for each in descriptors:
        os.close(each)


def run(path):
    for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(each, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o022)
    gc.disable()
    unknown = rpc.unknown()
    if unknown:
        sys.exit('this borg is not one that the server knows: ' + '; '.join(unknown))
    selftest.leave_out()
    from launcher.comfort import parser, read_buffer
    from launcher.rehearsal import rehearse
    from launcher.terms import Terms

    terms = Terms(path)
    parser.keep()
    for role in terms.roles:
        rehearse(role.words)
    read_buffer.keep()
    host = Host(terms)
    host.title.write(b'borgserver: session host')
    gc.collect()
    # Never looked at again: a collection would touch all of it, and each session have a copy of its own.
    gc.freeze()
    gc.enable()
    host.tell(event='ready', pid=os.getpid())
    host.run()
