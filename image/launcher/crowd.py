"""How many sessions an account has, and how it stands back behind others.

Only the kernel is asked: processes of the same owner whose command line names the account."""

import errno
import os
import signal
import sys
import time

from launcher.ending import end
from launcher.speaker import descent

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from collections.abc import Iterable
    from io import FileIO

Known = set[int] | frozenset[int]

#: Seconds that a session of the host may take until its title names its account.
PATIENCE = 5


def expect_to_be_ended_first(older: int) -> None:
    """Where memory runs out all the same, the kernel ends a session, not the server: the largest, and of two that are about as large
    that of the account with more of them (proc_pid_oom_score_adj(5): a point is a thousandth of the memory). Before any session the
    kernel ends who has not logged in, which src/sshd/strangers-first.ts gives 1000: a session that has half of the memory stays below."""
    write_number('/proc/self/oom_score_adj', 300 + 2 * min(older, 50))


def give_way(older: int) -> None:
    """A session stands back behind others as far as its account has sessions already: fifty of one account get as much of a
    CPU as five of five accounts do (nice(2): each step is a fifth less), and what revokes a key gets its turn. Who has few
    has nothing to fear from who has many."""
    if older == 0:
        return
    expect_to_be_ended_first(older)
    step = min(older, 15)
    os.nice(step)

    # sshd makes each session a group of its own, within which alone nice counts then (sched(7), autogroup; not in a container with a
    # CPU cgroup of its own). The kernel takes ten changes a second, of all together: whoever comes too early tries again, and the
    # session goes on meanwhile. borg uses no such timer.
    # Open from here on, since the session's box lets it open nothing below /proc.
    try:
        group = open('/proc/self/autogroup', 'wb', buffering=0)
    except OSError:
        return

    def group_gives_way(*_: object) -> None:
        if write_into(group, step) == errno.EAGAIN:
            signal.setitimer(signal.ITIMER_REAL, 0.1)

    signal.signal(signal.SIGALRM, group_gives_way)
    group_gives_way()


def write_number(path: str, number: int) -> int | None:
    """Returns the errno where that is not possible: the file may be missing, or somebody else has set more already."""
    try:
        with open(path, 'wb', buffering=0) as file:
            return write_into(file, number)
    except OSError as err:
        return err.errno


def write_into(file: 'FileIO', number: int) -> int | None:
    try:
        file.write(b'%d' % number)
    except OSError as err:
        return err.errno


def sessions_of(account: str, known: Known = frozenset()) -> set[int]:
    """PIDs of the sessions of the account that are alive, and those known. Admins share one uid: the account's name tells them apart."""
    mark = mark_of(account)
    uid = os.getuid()
    found = set(known)
    for entry in os.scandir('/proc'):
        try:
            # 500 sessions may begin in one instant, and each looks here: no file is read but of the few with this owner.
            if not entry.name.isdigit() or int(entry.name) in known or entry.stat().st_uid != uid:
                continue
            if is_marked(command_line(int(entry.name)), mark):
                found.add(int(entry.name))
        except OSError:
            continue  # it has ended
    return found


def named(pids: 'Iterable[int]', account: str, untitled: bytes) -> set[int]:
    """Those of the host's sessions that are the account's. They may be root's still: each has its title before it waits for its client.
    untitled: how the title of the host itself begins; who has that has just begun, and is waited for."""
    mark = mark_of(account)
    until = time.monotonic() + PATIENCE
    found: set[int] = set()
    for pid in pids:
        said = command_line(pid)
        while said.startswith(untitled) and time.monotonic() < until:
            time.sleep(0.001)
            said = command_line(pid)
        # Who has none in the end counts as well: a doubt lets nobody in.
        if said.startswith(untitled) or is_marked(said, mark):
            found.add(pid)
    return found


def command_line(pid: int) -> bytes:
    """Nothing where it has ended."""
    try:
        with open('/proc/%d/cmdline' % pid, 'rb', buffering=0) as file:
            return file.read(4096)
    except OSError:
        return b''


def mark_of(account: str) -> bytes:
    return b'\0--account\0' + os.fsencode(account) + b'\0'


def is_marked(words: bytes, mark: bytes) -> bool:
    """What stands behind "--" is borg's."""
    return mark in words.partition(b'\0--\0')[0]


def beginning(pid: int) -> tuple[int, int]:
    """Since boot, in clock ticks (proc_pid_stat(5), field 22), then by the PID: of two sessions one is always the older."""
    return descent(pid)[1] or sys.maxsize, pid  # nothing began after one that has ended


def refuse_beyond(most: int, account: str, known: Known = frozenset()) -> tuple[set[int], int]:
    """Only sessions that began before count, so that of any number that begin at once as many go on as may.

    Returns the sessions that there are, to be handed in when it is asked again, and how many of them began before."""
    others = sessions_of(account, known) - {os.getpid()}
    own = beginning(os.getpid())
    older = sum(beginning(pid) < own for pid in others)
    if older >= most:
        end(sentence(most))
    return others, older


def sentence(most: int) -> str:
    return ('This account has %d sessions on this server already, and may not have more at once '
            '(the setting SESSIONS_PER_ACCOUNT). Try again when one of them has ended.' % most)


def finds_others(host: int) -> bool:
    """Whether there is a session, of any account, that is not this host's child."""
    pids = [int(entry.name) for entry in os.scandir('/proc') if entry.name.isdigit()]
    # No parent: it has ended.
    return any(is_marked(command_line(pid), b'\0--account\0') and descent(pid)[0] not in (0, host) for pid in pids)
