"""How many sessions an account has, and how an account with many gives way to others.

Only the kernel is asked: the sessions are the processes of the same owner whose command line names the account."""

import atexit
import errno
import os
import signal
import sys
import time

from launcher.ending import end
from launcher.speaker import descent, groups

TYPE_CHECKING = False
if TYPE_CHECKING:  # a session's first answer waits for each import
    from collections.abc import Iterable
    from io import FileIO

Known = set[int] | frozenset[int]

#: Seconds that a session of the host may take until its title names its account.
PATIENCE = 5
#: Seconds that a session may take from its refusal to its end: it says why, and waits for half a second (ending.py). Less than the time that the
#: server leaves to connections above the limit (src/sessions/crowd.ts): then it ends the newest, and that may be one whose session may stay.
LEAVING = 2
#: The first words in the title of a hosted session.
HOSTED = ('borg-serve', '--hosted')


def expect_to_be_ended_first(older: int) -> None:
    """If memory runs out all the same, the kernel ends a session, not the server. It ends the largest one. Of two that are about as large it
    ends that of the account with more sessions (proc_pid_oom_score_adj(5): a point is a thousandth of the memory). Before any session the
    kernel ends a client that has not logged in: src/sshd/strangers-first.ts gives it 1000. A session with half of the memory stays below."""
    write_number('/proc/self/oom_score_adj', 300 + 2 * min(older, 50))


def give_way(older: int) -> None:
    """The more sessions an account has already, the more CPU time its next session leaves to others: fifty sessions of one account get
    as much of a CPU as five of five accounts do (nice(2): each step is a fifth less), and the process that revokes a key gets its turn.
    An account with many sessions does not slow down an account with few."""
    if older == 0:
        return
    expect_to_be_ended_first(older)
    step = min(older, 15)
    os.nice(step)

    # sshd makes each session a group of its own, and nice then counts only within that group (sched(7), autogroup; not in a container with
    # a CPU cgroup of its own). The kernel accepts ten changes a second, from all processes together. A session that comes too early tries
    # again by a timer and goes on meanwhile; borg does not use this timer.
    # The file is opened here: in its box the session can open nothing below /proc.
    try:
        group = open('/proc/self/autogroup', 'wb', buffering=0)
    except OSError:
        return

    def group_gives_way(*_: object) -> None:
        if write_into(group, step) == errno.EAGAIN:
            signal.setitimer(signal.ITIMER_REAL, 0.1)

    signal.signal(signal.SIGALRM, group_gives_way)
    # While Python ends it puts back the default, by which the timer would kill the session. It leaves a signal that is ignored.
    atexit.register(signal.signal, signal.SIGALRM, signal.SIG_IGN)
    group_gives_way()


def write_number(path: str, number: int) -> int | None:
    """Returns the errno if it fails: the file may be missing, or the number may be less than somebody else has set already."""
    try:
        with open(path, 'wb', buffering=0) as file:
            return write_into(file, number)
    except OSError as err:
        return err.errno


def write_into(file: 'FileIO', number: int) -> int | None:
    try:
        # Not file.write(): where the kernel says EAGAIN, that raises no error (Python's io.RawIOBase.write).
        os.write(file.fileno(), b'%d' % number)
    except OSError as err:
        return err.errno


def sessions_of(account: str, known: Known = frozenset()) -> set[int]:
    """PIDs of the account's sessions that are alive, with those in known. Admins share one uid: the account's name tells them apart."""
    mark = mark_of(account)
    uid = os.getuid()
    found = set(known)
    for entry in os.scandir('/proc'):
        try:
            # 500 sessions may begin in one instant, and each looks here: it reads only files of the few processes with this owner.
            if not entry.name.isdigit() or int(entry.name) in known or entry.stat().st_uid != uid:
                continue
            if is_marked(command_line(int(entry.name)), mark):
                found.add(int(entry.name))
        except OSError:
            continue  # it has ended
    return found


def named(pids: 'Iterable[int]', account: str, untitled: bytes) -> set[int]:
    """The account's sessions among those of the host. Some may still be root's: each sets its title before it waits for its client.
    untitled: the start of the host's own title. A process with that title has just begun: this function waits for its own title."""
    mark = mark_of(account)
    until = time.monotonic() + PATIENCE
    found: set[int] = set()
    for pid in pids:
        said = command_line(pid)
        while said.startswith(untitled) and time.monotonic() < until:
            time.sleep(0.001)
            said = command_line(pid)
        # A process that still has no title of its own counts, too: where it is unclear, nobody gets more sessions.
        if said.startswith(untitled) or is_marked(said, mark):
            found.add(pid)
    return found


def command_line(pid: int) -> bytes:
    """The words of a process; empty if it has ended."""
    try:
        with open('/proc/%d/cmdline' % pid, 'rb', buffering=0) as file:
            return file.read(4096)
    except OSError:
        return b''


def mark_of(account: str) -> bytes:
    return b'\0--account\0' + os.fsencode(account) + b'\0'


def is_marked(words: bytes, mark: bytes) -> bool:
    """Only the words before "--" count: those after it are borg's."""
    return mark in words.partition(b'\0--\0')[0]


def beginning(pid: int) -> tuple[int, int]:
    """When a process began: clock ticks since boot (proc_pid_stat(5), field 22), and its PID, so that one of two is always older."""
    return descent(pid)[1] or sys.maxsize, pid  # one that has ended counts as the youngest


def refuse_beyond(most: int, account: str, known: Known = frozenset()) -> tuple[set[int], int]:
    """Ends this session if the account has too many. Only sessions that began before it count: if many begin at once, the allowed number
    of them goes on.

    Of those in known, hosted ones that began later count, too. A session that loads borg itself is a process that has tried to reach a host first
    (image/session-client), and nobody sees it before it is a session. A hosted session looks only once, and may have looked before that. One that
    has seen this session is refused itself, and soon gone.

    Returns the other sessions, to be given as known the next time, and how many of them count."""
    others = sessions_of(account, known) - {os.getpid()}
    own, mark, until = beginning(os.getpid()), mark_of(account), time.monotonic() + LEAVING
    while True:
        older = sum(beginning(pid) < own for pid in others)
        sooner = sum(is_hosted(command_line(pid), mark) for pid in known if beginning(pid) > own)
        if older + sooner < most:
            return others, older + sooner
        if older >= most or time.monotonic() >= until:
            end(sentence(most))
        time.sleep(0.02)


def is_hosted(words: bytes, mark: bytes) -> bool:
    return words.startswith(b'\0'.join(map(os.fsencode, HOSTED)) + b'\0') and is_marked(words, mark)


def sentence(most: int) -> str:
    return ('This account has %d sessions on this server already, and may not have more at once '
            '(the setting SESSIONS_PER_ACCOUNT). Try again when one of them has ended.' % most)


def finds_others(host: int, doors: Known = frozenset()) -> bool:
    """Whether any account has a session that is not this host's child. doors: groups. A process in one of them counts, too, if it began before this
    one, which the host starts once its doors are open: it may have come before."""
    pids = [int(entry.name) for entry in os.scandir('/proc') if entry.name.isdigit()]
    own, _ = beginning(os.getpid())

    def is_other(pid: int) -> bool:
        # A parent of 0: it has ended.
        return is_marked(command_line(pid), b'\0--account\0') and descent(pid)[0] not in (0, host)

    def may_have_come_before(pid: int) -> bool:
        return bool(doors) and beginning(pid)[0] <= own and not doors.isdisjoint(groups(pid))

    return any(is_other(pid) or may_have_come_before(pid) for pid in pids)
