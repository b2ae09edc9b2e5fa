"""Ends a process just before one of its own system calls, by ptrace(2).

    tracer.py REPORT host PID NUMBER       the host, before its call NUMBER from now on
    tracer.py REPORT session PID NUMBER    the next process that the host forks
    tracer.py REPORT client PID NUMBER     a client, which has stopped itself; it counts from connect(2) on
    tracer.py REPORT late PID 0            ends nothing: the patience of such a client ends just before its session says that it begins
    tracer.py REPORT told PID 0            ends nothing: somebody else tells a session to end just before it waits for its client
    tracer.py REPORT closing PID NUMBER    a session, which is only told to end; it counts from the end of its client's requests on

Writes into the file REPORT: "traces" when it begins, and "ended CALL" or "late" when it has done its work, or "waits" when somebody else has to
act. CALL is the number of the system call.
"""

import ctypes
import os
import platform
import re
import signal
import sys
import time

#: sys/ptrace.h
CONT, GET_REGISTERS, SET_REGISTERS, DETACH, SYSCALL, GET_EVENT_MESSAGE, SEIZE, INTERRUPT = 7, 12, 13, 17, 24, 0x4201, 0x4206, 0x4207
GET_SYSCALL_INFO = 0x420E
#: Options.
TRACE_SYSCALLS, TRACE_FORK = 1, 2
#: Stops.
EVENT_FORK = 1
SYSCALL_STOP = signal.SIGTRAP | 0x80
#: The two kinds of stop at a system call.
BEGINS = 1
#: asm/unistd.h
CONNECT, READ, EXECVE, SIGACTION = {'x86_64': (42, 0, 59, 13)}.get(platform.machine(), (203, 63, 221, 134))

#: For x86_64: select(2) and pselect6(2); the registers that make a call, by their place in struct user_regs_struct (sys/user.h); and the size
#: of the instruction that makes it.
SELECTS, RAX, ORIGINAL_RAX, RIP, SIZE = (23, 270), 10, 15, 16, 2

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class SyscallInfo(ctypes.Structure):
    """values: when a call begins, its number and its arguments; when it is over, what it returns."""

    _fields_ = (('kind', ctypes.c_uint8), ('padding', ctypes.c_uint8 * 3), ('machine', ctypes.c_uint32), ('instruction', ctypes.c_uint64),
                ('stack', ctypes.c_uint64), ('values', ctypes.c_int64 * 7))


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def report(line: str) -> None:
    with open(sys.argv[1], 'a') as file:
        file.write(line + '\n')


def next_stop(pid: int) -> tuple[bool, list[int]]:
    """Lets the process go on until its next call begins or is over. Signals reach it as ever."""
    number = 0
    while True:
        ptrace(SYSCALL, pid, 0, number)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            sys.exit()  # it has ended by itself
        number = os.WSTOPSIG(status)
        if number == SYSCALL_STOP:
            info = SyscallInfo()
            ptrace(GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.addressof(info))
            return info.kind == BEGINS, list(info.values)
        if status >> 16 or number == signal.SIGTRAP:
            number = 0


def seize(pid: int, options: int) -> None:
    ptrace(SEIZE, pid, 0, options)
    ptrace(INTERRUPT, pid)
    os.waitpid(pid, 0)
    report('traces')


def child_of(pid: int) -> int:
    """The next child of a traced process. The process itself is traced no longer. The child stands still."""
    child, stopped = ctypes.c_ulong(), set()
    ptrace(CONT, pid)
    while child.value not in stopped:
        found, status = os.waitpid(-1, 0)
        if found != pid:
            stopped.add(found)
        elif not os.WIFSTOPPED(status):
            sys.exit()  # it has ended by itself
        elif status >> 16 == EVENT_FORK:
            ptrace(GET_EVENT_MESSAGE, pid, 0, ctypes.addressof(child))
        else:
            ptrace(CONT, pid, 0, 0 if status >> 16 else os.WSTOPSIG(status))
    ptrace(DETACH, pid)
    return child.value


def end_before(pid: int, most: int, counts: bool) -> None:
    """counts: whether its calls count from the beginning; otherwise they count from connect(2) on. Setting a signal does not count: Perl sets many,
    and nothing differs between two of them."""
    number = 0
    while True:
        begins, (call, *_) = next_stop(pid)
        if not begins:
            continue
        counts = counts or call == CONNECT
        number += counts and call != SIGACTION
        if number == most:
            os.kill(pid, signal.SIGKILL)
            return report('ended %d' % call)
        if counts and call == EXECVE:
            return ptrace(DETACH, pid)  # a client that starts cold


def tell_before(pid: int, most: int) -> None:
    number, value, reads, ends = 0, 0, False, False
    while number < most:
        begins, (value, where, *_) = next_stop(pid)
        if begins:
            reads = value == READ and where == 0
            number += ends
        else:
            ends = ends or (reads and value == 0)
    os.kill(pid, signal.SIGTERM)
    report('ended %d' % value)
    ptrace(DETACH, pid)


def come_late(pid: int) -> None:
    """The client's alarm comes before its session has said that it begins. Before the client notices the alarm, the session has begun."""
    session, place = 0, 0
    while True:
        begins, values = next_stop(pid)
        if begins and values[0] == READ:
            if session:
                break
            place = values[2]
        elif not begins and place and values[0] > 0:
            found = re.fullmatch(rb'session (\d+)', read_memory(pid, place, values[0]))
            session, place = int(found.group(1)) if found else 0, 0
            if session:
                os.kill(session, signal.SIGSTOP)
                wait_until(session, 'stat', rb'.*\) T ')
    os.kill(pid, signal.SIGALRM)
    next_stop(pid)
    os.kill(session, signal.SIGCONT)
    # The session gives up root only after it has said that it begins.
    wait_until(session, 'status', rb'(?s:.*)\nUid:\t[1-9]')
    report('late')
    ptrace(DETACH, pid)


def be_told(pid: int) -> None:
    """The session notices a signal only if the signal interrupts a call. This one comes after Python's last look for signals, and before the call
    by which the session waits."""
    while True:
        begins, (call, *_) = next_stop(pid)
        if begins and call in SELECTS:
            break
    # The call is skipped. Then its instruction is done again, and the signal comes before that.
    set_registers(pid, {ORIGINAL_RAX: -1})
    next_stop(pid)
    set_registers(pid, {RAX: call, RIP: registers(pid)[RIP] - SIZE})
    report('waits')
    wait_until(pid, 'status', rb'(?s:.*)\nShdPnd:\t0*4000\n')
    ptrace(DETACH, pid)


def registers(pid: int) -> ctypes.Array:
    found = (ctypes.c_int64 * 27)()
    ptrace(GET_REGISTERS, pid, 0, ctypes.addressof(found))
    return found


def set_registers(pid: int, values: dict[int, int]) -> None:
    found = registers(pid)
    for place, value in values.items():
        found[place] = value
    ptrace(SET_REGISTERS, pid, 0, ctypes.addressof(found))


def read_memory(pid: int, place: int, size: int) -> bytes:
    with open('/proc/%d/mem' % pid, 'rb', buffering=0) as memory:
        memory.seek(place)
        return memory.read(size)


def wait_until(pid: int, name: str, begins: bytes) -> None:
    """name: that of a file of the process in /proc; begins: a pattern."""
    while True:
        with open('/proc/%d/%s' % (pid, name), 'rb') as file:
            if re.match(begins, file.read()):
                return
        time.sleep(0.005)


def main(way: str, pid: int, most: int) -> None:
    seize(pid, TRACE_SYSCALLS | (TRACE_FORK if way == 'session' else 0))
    if way in ('client', 'late'):
        os.kill(pid, signal.SIGCONT)
    if way == 'late':
        come_late(pid)
    elif way == 'told':
        be_told(pid)
    elif way == 'closing':
        tell_before(pid, most)
    else:
        end_before(child_of(pid) if way == 'session' else pid, most, way != 'client')


main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
