"""Who speaks, as the kernel says, and what was said, as one line of text."""

ESCAPED = {byte: '\\%03o' % byte for byte in [*range(32), 127]}


def descent(pid: int) -> tuple[int, int]:
    """Parent and start of a process (proc_pid_stat(5), fields 4 and 22: a PID, and clock ticks since boot); zeros if it has ended."""
    try:
        with open('/proc/%d/stat' % pid, 'rb', buffering=0) as file:
            fields = file.read(4096).rpartition(b')')[2].split()
        return int(fields[1]), int(fields[19])
    except OSError:
        return 0, 0


def owner(pid: int) -> int | None:
    """Real user id of a process (proc_pid_status(5)); None if it has ended. The owner of its folder in /proc may be another one."""
    try:
        with open('/proc/%d/status' % pid, 'rb', buffering=0) as file:
            return int(file.read(4096).partition(b'\nUid:')[2].split(None, 1)[0])
    except (OSError, IndexError):
        return None


def groups(pid: int) -> frozenset[int]:
    """Groups of a process, the primary one included (proc_pid_status(5)); none if it has ended."""
    try:
        with open('/proc/%d/status' % pid, 'rb', buffering=0) as file:
            lines = file.read().split(b'\n')
    except OSError:
        return frozenset()
    return frozenset(int(each) for line in lines if line.startswith((b'Gid:', b'Groups:')) for each in line.split()[1:])


def text_of(said: bytes) -> str:
    """What was said, in bytes, as text without control characters."""
    return said.decode('utf-8', 'replace').translate(ESCAPED)
