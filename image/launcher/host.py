"""The session host: it has borg loaded, and each session is a fork of it (docs/session-host.md).

sshd's forced command is a small client (image/session-client) that hands over its three standard streams. The kernel says who the client is.
What the session may do is in the terms that root has written, by the group of its role.

The host reads nothing that a client says: each session gets a copy of the host's memory, and must not find in it who else is here. The host
waits for nobody, and has one thread. When its standard input ends, it closes its doors, and ends with its last session.
"""

import errno
import os
import select
import selectors
import signal
import socket
import time

from launcher import hosted, serving
from launcher.daemon_line import DaemonLine
from launcher.descriptors import own_descriptors, spare_descriptor
from launcher.others import Others
from launcher.peer import Peer, begun_at, connection_above, is_gone, said_nothing
from launcher.promptly import Promptly
from launcher.title import Title

#: Seconds for a client to say something.
PATIENCE = 10
#: Seconds for the daemon to say whose connection it is. It may be busy with a crowd.
ASKED = 60
#: Seconds for a session whose client is gone to give its locks back.
FAREWELL = 5
#: Seconds between two signals to it.
AGAIN = 1
#: Sessions above the limit of an account that the host still begins: each tells its client about the limit.
FEW_MORE = 16
#: Connections of one user id that have not said anything yet.
MOST_SILENT = 64
BACKLOG = 4096
#: Seconds that the host waits where there is no descriptor left.
PAUSE = 0.05


class Farewell:
    """A session that was told to end: when it is told again, and when it must have ended. It is told again, because a session that began to wait
    for its client just as the signal came has not noticed it. It is not told more often than once a second (AGAIN): borg reacts only once
    (raising_signal_handler), and a signal after it has put the handler back would end it before it has given its lock back."""

    def __init__(self, now):
        self.until, self.again = now + FAREWELL, now + AGAIN


class Session:
    def __init__(self, peer, pid):
        self.peer, self.pid = peer, pid
        self.start = begun_at(pid)
        self.pidfd = os.pidfd_open(pid)

    def signal(self, number):
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass


class Host:
    #: Its title in /proc. A session that has just begun still has it.
    NAME = b'borgserver: session host'

    def __init__(self, terms):
        self.terms = terms
        self.title = Title()
        self.pid = os.getpid()
        self.promptly = Promptly()
        self.selector = selectors.DefaultSelector()
        # While clients wait, the host only looks whether they are gone: only their session reads what they say.
        self.ends = select.epoll()
        self.selector.register(self.ends, selectors.EVENT_READ, self.lose_clients)
        self.spare = spare_descriptor()
        self.silent = {}
        #: The pids of the clients that are here.
        self.clients = set()
        self.asking = {}
        self.sessions = {}
        #: Sessions whose client waits, by the client's descriptor; and sessions whose client is gone, with the time by which they must end.
        #: A loop over all sessions would write into each object (its reference count), and each page so written is copied for the next session.
        self.served = {}
        self.leaving = {}
        #: Sessions that have ended, but whose exit code the host cannot read yet (close_session).
        self.kept = []
        #: How many sessions each user id has.
        self.count = {}
        self.doors = [self.open_door(role) for role in terms.roles]
        self.others = Others(terms.role_gids)
        self.daemon = DaemonLine(self.selector, self.hear_account, self.retire)
        self.own = own_descriptors()

    # Who comes in

    def open_door(self, role):
        """Only a process with the group of the role reaches the door. It replaces the door of an earlier host in one step: there always is one."""
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
        except OSError as err:
            if err.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                self.turn_away(door)
            return  # in every other case the client is gone again
        connection.setblocking(False)
        if is_gone(connection):
            # Ended here, before it costs more: somebody may fill the queue, in which others wait, with such connections.
            return self.send_away(connection)
        try:
            peer = Peer(connection)
        except OSError:
            return self.send_away(connection)
        if peer.pid in self.clients:
            # A forced command waits for one session only. A session that was taken over can start no process, so it gets one more session, not many.
            return self.send_away(connection)
        if peer.uid == 0 or sum(each.uid == peer.uid for each, _ in self.silent.values()) >= MOST_SILENT:
            return self.refuse(peer)
        self.clients.add(peer.pid)
        self.silent[connection.fileno()] = peer, time.monotonic() + PATIENCE
        self.selector.register(connection, selectors.EVENT_READ, lambda: self.hear(peer))

    def turn_away(self, door):
        """No descriptor is left but the spare one. It takes in one client and closes it, so that the client starts cold at once. Otherwise the
        streams that it has handed over would stay in the queue, even after its session, and nobody would see their end."""
        if self.spare is not None:
            os.close(self.spare)
        try:
            self.send_away(door.accept()[0])
        except OSError:
            time.sleep(PAUSE)  # else the selector would report the door again at once
        self.spare = spare_descriptor()

    def send_away(self, connection):
        """The client then begins a session by itself."""
        self.others.may_come()
        self.close(connection)

    def refuse(self, peer):
        """The same for a client that was let in."""
        self.others.may_come()
        self.forget(peer)

    def forget(self, peer):
        self.clients.discard(peer.pid)
        self.close(peer.connection)

    def close(self, connection):
        with self.promptly:
            connection.close()

    def hear(self, peer):
        """The client has said something, or is gone."""
        self.selector.unregister(peer.connection)
        del self.silent[peer.connection.fileno()]
        if is_gone(peer.connection) or said_nothing(peer.connection):
            return self.refuse(peer)
        role, above = self.terms.role_of(peer.groups), connection_above(peer.pid, peer.uid)
        if role is None or above is None or (self.terms.shared and not self.doors):
            self.refuse(peer)
        elif role.most is not None and self.count.get(peer.uid, 0) >= role.most + FEW_MORE:
            # A flood. (A few sessions too many are begun, and tell their clients more.) The host reads a byte: if it closed the connection with
            # the message unread, the client would get an error instead of the answer (unix(7)).
            with self.promptly:  # what it hands over is closed with the message
                peer.connection.recv(1)
            self.answer(peer, b'full')
            self.forget(peer)
        elif self.terms.shared:
            # One user id has many accounts. Only the daemon knows which of them this is: it has read that in sshd's log.
            self.asking.setdefault(above, []).append((peer, role, time.monotonic() + ASKED))
            self.daemon.tell(event='asks', connection=above)
        else:
            self.open_session(peer, role, above, None)

    # Sessions

    def open_session(self, peer, role, above, digest):
        """digest: of the account's name, where the user id does not tell the account; else None."""
        known = self.count.get(peer.uid, 0)
        try:
            pid = os.fork()
        except OSError as err:
            self.daemon.tell(event='trouble', what='a session could not be started: %s' % err)
            return self.refuse(peer)
        if pid == 0:
            raise serving.Forked(lambda: hosted.begin(self, peer, role, digest, known))
        try:
            session = Session(peer, pid)
        except OSError as err:
            # Without a pidfd nobody could end it later.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.daemon.tell(event='trouble', what='a session could not be started: %s' % err)
            return self.refuse(peer)
        self.sessions[pid] = session
        self.count[peer.uid] = known + 1
        self.selector.register(session.pidfd, selectors.EVENT_READ, lambda: self.end_session(session))
        self.ends.register(peer.connection, select.EPOLLRDHUP)
        self.served[peer.connection.fileno()] = session
        # The client hears of its session only after the daemon: the daemon ends a session that it has not heard of. If the daemon does not read,
        # the client starts cold.
        self.daemon.tell(lambda: self.answer(peer, b'session %d' % pid), event='began', pid=pid, start=session.start, client=peer.pid,
                         clientStart=peer.start, connection=above, uid=peer.uid)

    def answer(self, peer, word):
        try:
            peer.connection.send(word)
        except OSError:
            pass  # the client is gone

    def lose_clients(self):
        for number, _ in self.ends.poll(0):
            self.ends.unregister(number)
            session = self.served.pop(number)
            session.signal(signal.SIGTERM)
            self.leaving[session] = Farewell(time.monotonic())

    def end_session(self, session):
        self.selector.unregister(session.pidfd)
        self.close_session(session)

    def close_session(self, session):
        pid, status, usage = os.wait4(session.pid, os.WNOHANG)
        if pid == 0:
            # A process that traces the session can delay its end as long as it likes (ptrace(2)). Without a box, another session of the account can.
            self.kept.append(session)
            return
        os.close(session.pidfd)
        del self.sessions[session.pid]
        uid = session.peer.uid
        self.count[uid] -= 1
        if self.count[uid] == 0:
            del self.count[uid]
        if self.leaving.pop(session, None) is None:
            self.ends.unregister(session.peer.connection)
            del self.served[session.peer.connection.fileno()]
        code = os.waitstatus_to_exitcode(status)
        if code == hosted.WITHDRAWN:
            self.refuse(session.peer)
        else:
            if code < 0:
                self.others.may_come()  # it may have ended before it served, and its client then starts cold
            self.answer(session.peer, b'end %d' % (code if code >= 0 else 128 - code))
            self.forget(session.peer)
        self.daemon.tell(event='ended', pid=session.pid, start=session.start, code=max(code, 0), signal=-code if code < 0 else None,
                  cpu=round(usage.ru_utime + usage.ru_stime, 4), memory=usage.ru_maxrss * 1024)

    # The daemon

    def hear_account(self, above, digest):
        for peer, role, _ in self.asking.pop(above, ()):
            self.open_session(peer, role, above, digest)

    def retire(self):
        for door in self.doors:
            self.selector.unregister(door)
            self.close(door)
        self.doors = []
        # The daemon will not say any more whose these connections are.
        for waiting in self.asking.values():
            for peer, _, _ in waiting:
                self.refuse(peer)
        self.asking = {}

    # The loop

    def pass_time(self):
        now = time.monotonic()
        for number, (peer, until) in list(self.silent.items()):
            if until < now:
                self.selector.unregister(peer.connection)
                del self.silent[number]
                self.refuse(peer)
        for above, waiting in list(self.asking.items()):
            for peer, _, until in waiting:
                if until < now:
                    self.refuse(peer)
            self.asking[above] = [each for each in waiting if each[2] >= now]
            if not self.asking[above]:
                del self.asking[above]
        for session, farewell in self.leaving.items():
            if farewell.until < now:
                session.signal(signal.SIGKILL)
            elif farewell.again <= now:
                session.signal(signal.SIGTERM)
                farewell.again = now + AGAIN
        kept, self.kept = self.kept, []
        for session in kept:
            self.close_session(session)
        self.others.pass_time()

    def run(self):
        while self.doors or self.sessions:
            timed = self.silent or self.asking or self.kept or self.leaving or self.others.possible
            for key, _ in self.selector.select(1 if timed else None):
                key.data()
            if timed:
                self.pass_time()
