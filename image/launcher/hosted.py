"""A session that the host has forked. It begins as root's copy of the host, and becomes a process of its account alone, in a box, that serves
its client.

It has left the host's loop before anything here begins (serving.py): a copy that stayed in the loop would be a second host."""

import ctypes
import dataclasses
import hashlib
import os
import re
import signal
import socket
import sys
from _signal import SIG_DFL  # see serving.py
from _signal import signal as set_handler

from launcher import crowd, limits, process_limits, refusals, request, serving
from launcher.box import libc
from launcher.descriptors import close_all_but
from launcher.ending import end
from launcher.people import Person, find_person
from launcher.session import close_in_hosted
from launcher.terms import Role

#: The exit code if the client gets no session here, or has not waited: it begins one by itself.
WITHDRAWN = 250
#: Seconds that a client may take to say that it is still there. It waits no less long for its session (image/session-client).
PATIENCE = 120
MOST_BYTES = 16_384
#: prctl(2).
SET_PDEATHSIG, SET_DUMPABLE = 1, 4
# Set once in the host, not in each session.
libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
#: Flags of recvmsg(2), as numbers: combining enums costs a session as much as all else in understand().
CUT = int(socket.MSG_CTRUNC | socket.MSG_TRUNC)
ADDRESS = re.compile(r'[0-9A-Fa-f.:%a-z]{1,80} [0-9]{1,5} [0-9A-Fa-f.:%a-z]{1,80} [0-9]{1,5}')


def begin(host, peer, role, digest, known):
    """Returns the function that serves, or ends the process. digest: of the account's name, or None; known: how many sessions its user id has
    already."""
    serving.KEPT.extend((host, peer))
    try:
        wanted = until_begun(host, peer, role, digest)
    except BaseException as err:
        serving.code_of(err)
        # After any error: the client begins a session by itself.
        os._exit(WITHDRAWN)
    try:
        return session_of(host, peer, wanted, known)
    except BaseException as err:
        code = serving.code_of(err)
    serving.leave(code)


def until_begun(host, peer, role, digest):
    """Everything up to the point where the client has agreed to stay with this session."""
    restore_signals()
    die_with(host.pid)
    close_all_but((*host.own, peer.connection.fileno()))
    wanted = understand(peer.connection, host.terms, peer, role, digest)
    # From here on it counts as a session of its account (crowd.py), even while it waits for its client.
    host.title.write(title_of(wanted.address, wanted.own))
    take_streams(peer.connection, wanted.streams)
    close_all_but(host.own)
    return wanted


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a client has asked for, once it is sure that the account is the client's own."""

    role: Role
    person: Person
    #: The words of the role, for this account.
    own: list[str]
    address: str
    command: str
    streams: list[int]


def understand(connection, terms, peer, role, digest):
    """Of the client's words only two things count: the account, which must have the client's user id, and whether it wants a version, to be served,
    or something else, which is refused. If the account is not the client's own, it is not served here: it starts a session by itself, and sshd's
    forced command holds that session to its account."""
    try:
        said, streams, flags, _ = socket.recv_fds(connection, MOST_BYTES, 3)
    except OSError:
        os._exit(WITHDRAWN)
    account, _, rest = said.decode('utf-8', 'surrogateescape').partition('\0')
    address, _, command = rest.partition('\0')
    person = find_person(terms.passwd, account)
    is_whole = len(streams) == 3 and not flags & CUT
    if person is None or not is_whole or person.uid != peer.uid or not terms.is_of(person, role) or digest not in (None, digest_of(account)):
        os._exit(WITHDRAWN)
    own = [word.replace('$USER', person.name) for word in role.words]
    return Wanted(role, person, own, address if ADDRESS.fullmatch(address) else '', command, streams)


def digest_of(account):
    """The daemon names an account to the host by this digest: the host must not know the name (src/sessions/session-host.ts)."""
    return hashlib.sha256(os.fsencode(account)).hexdigest()


def die_with(host):
    """Ends this process when the host dies, until the client has heard of the session: the host may not have told the daemon of it yet, and then
    nobody would know of it."""
    prctl(SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != host:
        os._exit(WITHDRAWN)


def prctl(option, value):
    libc.prctl(option, value, 0, 0, 0)


def restore_signals():
    """Restores the signals that the host has changed. borg's own handlers come back when it serves (serving.py)."""
    for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM):
        set_handler(each, SIG_DFL)


def take_streams(connection, streams):
    """Takes the streams once the client says "go". A client that has not waited has started a session by itself, which reads the streams now:
    then this one ends before it has read a byte. A client that does not hear "on" starts a session by itself, too."""
    os.setsid()
    connection.settimeout(PATIENCE)
    try:
        heard = connection.recv(16)
        if heard == b'go':
            # The daemon knows of this session, and its client waits. So from now on it goes on even if the host dies.
            prctl(SET_PDEATHSIG, 0)
            connection.send(b'on')
    except OSError:
        heard = b''
    if heard != b'go':
        os._exit(WITHDRAWN)
    for number, each in enumerate(streams):
        os.dup2(each, number)


def session_of(host, peer, wanted, known):
    """Returns the function that serves. Raises SystemExit where the client has had its whole answer."""
    role, person, address = wanted.role, wanted.person, wanted.address
    for name, value in (('USER', person.name), ('LOGNAME', person.name), ('HOME', person.home), ('SSH_CONNECTION', address)):
        os.environ[name] = value
    command = limits.read(wanted.own)
    # Still as root: the account cannot widen any of these limits.
    process_limits.limit_process(command.of_session.memory)
    crowd.expect_to_be_ended_first(0)
    # The host has counted the sessions of this user id. That is not enough where there may be sessions that are not the host's, or where several
    # accounts have this user id: then the account's sessions are counted below.
    is_counted = role.most is not None and not host.others.possible
    if is_counted:
        crowd.give_way(known)
    mates = None
    if host.others.possible or (known > 0 and role.most is None):
        mates = crowd.named([pid for pid, each in host.sessions.items() if each.peer.uid == peer.uid], person.name, host.NAME)
    drop_privileges(person.uid, host.terms.own_gid(person), peer.groups - host.terms.role_gids)
    go_home(person.home)
    words = request.words_of(wanted.command)
    if not refusals.is_to_be_served(words, command.own_path):
        sys.exit()
    if role.most is not None and known >= role.most:
        end(crowd.sentence(role.most))
    if mates is not None:
        _, older = crowd.refuse_beyond(command.of_session.sessions, person.name, mates)
        crowd.give_way(older)
    return close_in_hosted(command, request.log_levels(words), role, person)


def title_of(address, words):
    """The same title as a session has that loads borg itself. words: those of its role."""
    return b'\0'.join(map(os.fsencode, (*crowd.HOSTED, '--session', address, *words)))


def go_home(folder):
    """As sshd does: a relative path in a URL starts there."""
    try:
        os.chdir(folder)
    except OSError:
        os.chdir('/')


def drop_privileges(uid, gid, groups):
    """Gives root up for good: real, effective and saved ids, and with them every capability (capabilities(7)). It also gives up the group of
    its role, which opens the host's door: a session that was taken over cannot begin another one."""
    os.umask(0o022)
    os.setgroups(sorted(groups - {0}))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if uid == 0 or gid == 0 or os.getresuid() != (uid,) * 3 or os.getresgid() != (gid,) * 3 or 0 in os.getgroups():
        os._exit(1)
    # As after an execve(2): otherwise its files in /proc would be root's, and it could not read them.
    prctl(SET_DUMPABLE, 1)
