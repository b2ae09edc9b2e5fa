"""What its own account sees of a session from outside, in words that are the same for two that are the same. One line of JSON.

    PYTHON -I outside_session.py PID
"""

import ctypes
import json
import os
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
#: The number of ioprio_get(2), by the machine.
IOPRIO_GET = {'x86_64': 252, 'aarch64': 31}.get(os.uname().machine)
#: These fields tell one process from another, or how long it has run. They do not tell what it is.
ITS_OWN = ('Pid', 'Tgid', 'Ngid', 'PPid', 'NSpid', 'NStgid', 'NSpgid', 'NSsid', 'State', 'VmPeak', 'VmSize', 'VmLck', 'VmPin', 'VmHWM', 'VmRSS',
           'RssAnon', 'RssFile', 'RssShmem', 'VmData', 'VmStk', 'VmExe', 'VmLib', 'VmPTE', 'VmSwap', 'SigQ', 'voluntary_ctxt_switches',
           'nonvoluntary_ctxt_switches')
#: proc_pid_stat(5), from the third field on.
FIELDS = {'terminal': 7, 'foreground': 8, 'exit signal': 38, 'nice': 19, 'priority': 18, 'threads': 20, 'realtime': 40, 'policy': 41}
#: linux/sched.h: PF_FORKNOEXEC, PF_SUPERPRIV, PF_DUMPCORE, PF_SIGNALED.
FLAGS = {'forked': 0x40, 'has used a right of root': 0x100, 'dumped': 0x200, 'signaled': 0x400}
WHOLE = ('oom_score_adj', 'timerslack_ns', 'timers', 'cgroup', 'personality', 'coredump_filter', 'loginuid', 'sessionid', 'comm', 'uid_map',
         'gid_map', 'setgroups', 'attr/current', 'timens_offsets', 'cpuset', 'task_type')
NAMESPACES = ('cgroup', 'ipc', 'mnt', 'net', 'pid', 'pid_for_children', 'time', 'time_for_children', 'user', 'uts')


def told(attempt, *args):
    try:
        return attempt(*args)
    except (OSError, IndexError, ValueError) as err:
        return type(err).__name__


def text(path):
    with open(path, errors='replace') as file:
        return file.read().strip()


def status(pid):
    lines = (line.partition(':') for line in text('/proc/%d/status' % pid).split('\n'))
    return {name: ' '.join(value.split()) for name, _, value in lines if name not in ITS_OWN}


def limits(pid):
    return {line[:26].strip(): ' '.join(line[26:].split()) for line in text('/proc/%d/limits' % pid).split('\n')[1:]}


def stat(pid):
    fields = text('/proc/%d/stat' % pid).rpartition(')')[2].split()
    found = {name: fields[number - 3] for name, number in FIELDS.items()}
    flags = int(fields[9 - 3])
    return found | {'leads its group': int(fields[5 - 3]) == pid, 'leads its session': int(fields[6 - 3]) == pid} | {
        'flags': [name for name, bit in FLAGS.items() if flags & bit]}


def descriptors(pid):
    """The standard streams, and all other descriptors, whatever the order in which they were opened."""
    found = {}
    for name in os.listdir('/proc/%d/fd' % pid):
        # The numbers of the inode and of the process are left out.
        kind = os.readlink('/proc/%d/fd/%s' % (pid, name)).partition(':[')[0].replace('/%d/' % pid, '/PID/')
        flags = next(line.split()[1] for line in text('/proc/%d/fdinfo/%s' % (pid, name)).split('\n') if line.startswith('flags'))
        found.setdefault(name if int(name) < 3 else 'others', []).append('%s %s' % (kind, flags))
    return {name: sorted(each) for name, each in found.items()}


def autogroup(pid):
    """Its nice value, not its number. It follows that of the process a little later: the kernel takes ten changes a second, of all sessions."""
    end = time.monotonic() + 300
    while True:
        found = text('/proc/%d/autogroup' % pid).rpartition(' ')[2]
        if found == stat(pid)['nice'] or time.monotonic() > end:
            return found
        time.sleep(0.05)


def look(pid):
    folder = '/proc/%d/' % pid
    return {
        'status': status(pid), 'limits': limits(pid), 'stat': stat(pid), 'descriptors': descriptors(pid), 'autogroup': told(autogroup, pid),
        'files': {name: told(text, folder + name) for name in WHOLE},
        'links': {name: told(os.readlink, folder + name) for name in ('cwd', 'root', 'exe')},
        'namespaces': {name: told(os.readlink, folder + 'ns/' + name) for name in NAMESPACES},
        'owner of its files': [os.stat(folder + name).st_uid for name in ('status', 'environ', 'fd')],
        'io': None if IOPRIO_GET is None else libc.syscall(ctypes.c_long(IOPRIO_GET), ctypes.c_int(1), ctypes.c_int(pid)),
        'processors': sorted(os.sched_getaffinity(pid)), 'realtime': [os.sched_getscheduler(pid), os.sched_getparam(pid).sched_priority],
        'children': text('/proc/%d/task/%d/children' % (pid, pid)),
        'words': ' '.join(text('/proc/%d/cmdline' % pid).rstrip('\0').split('\0')),
    }


print(json.dumps(look(int(sys.argv[1]))))
