"""Who has connected to the session host, as the kernel says."""

import array
import ctypes
import errno
import os
import select
import socket
import struct

from launcher.box import libc
from launcher.speaker import descent, owner

CREDENTIALS = struct.Struct('3i')
#: asm-generic/socket.h; socket(7) does not mention it: the supplementary groups of the process that has connected.
SO_PEERGROUPS = 59
#: Bytes.
FEW_GROUPS = 1024
MOST_GROUPS = 65_536


class Peer:
    """pid, uid, gid and groups: of the process at the moment of its connect(2) (unix(7), SO_PEERCRED). start: in clock ticks since boot."""

    def __init__(self, connection: socket.socket) -> None:
        """Raises OSError if the client is gone again."""
        self.connection = connection
        self.pid, self.uid, self.gid = CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        self.groups = frozenset((*groups_of(connection), self.gid))
        self.start = begun_at(self.pid)


def begun_at(pid: int) -> int:
    """In clock ticks since boot. Raises OSError where it cannot be told: the daemon ends a session that it cannot tell from another one."""
    start = descent(pid)[1]
    if start == 0:
        raise OSError(errno.ESRCH, 'when it began cannot be told', pid)
    return start


def groups_of(connection: socket.socket) -> list[int]:
    """Raises OSError."""
    try:
        return list(array.array('I', connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, FEW_GROUPS)))
    except OSError as err:
        if err.errno != errno.ERANGE:
            raise
    # Python's getsockopt takes a kilobyte at most, and an admin is in the group of every account: the C function has no such limit.
    groups, size = (ctypes.c_uint32 * MOST_GROUPS)(), ctypes.c_uint32(4 * MOST_GROUPS)
    if libc.getsockopt(connection.fileno(), socket.SOL_SOCKET, SO_PEERGROUPS, groups, ctypes.byref(size)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return groups[:size.value // 4]


def connection_above(pid: int, uid: int) -> tuple[int, int] | None:
    """sshd's root process above a forced command, as pid and start. Between the two is one process of the same account, which has started the
    command. None for every other process: the parent of a session that the host has forked is the host, or the first process."""
    parent, _ = descent(pid)
    if parent <= 1 or owner(parent) != uid:
        return None
    above, _ = descent(parent)
    if above <= 1 or owner(above) != 0:
        return None
    return above, descent(above)[1]


def is_gone(connection: socket.socket) -> bool:
    """Whether the client is gone, even if it has said something before."""
    ends = select.poll()
    ends.register(connection, select.POLLRDHUP)
    return bool(ends.poll(0))


def said_nothing(connection: socket.socket) -> bool:
    """Whether there is no message, or an empty one. The message stays in the socket: the session reads it."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b''
    except OSError:
        return True
