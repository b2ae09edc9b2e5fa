"""One account must not take the server down, whatever its sessions do."""

import os
import resource

# Open files: borg keeps up to 90 segments open, and a few more.
MOST_FILES = 256
# Twice what a session needs before it has opened anything (bytes): borg itself needs 45 MB, and incomplete requests 60 MB.
LEAST_MEMORY = 256 << 20
# Bytes more for the words that say why the session ends.
LAST_MEMORY = 32 << 20
# Only the files that exist, so that no session looks for the others in vain.
CGROUP_LIMITS = [path for path in ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes') if os.path.exists(path)]


def limit_process(memory: str) -> None:
    """borg serve starts no process and no thread. memory: bytes, or 'auto'."""
    for limit, most in ((resource.RLIMIT_NPROC, 0), (resource.RLIMIT_NOFILE, MOST_FILES), (resource.RLIMIT_CORE, 0)):
        most = within(most, resource.getrlimit(limit)[1])
        resource.setrlimit(limit, (most, most))
    # The hard limit is the most that the session may ever need. A session that was taken over can raise its own limit up to here, not further.
    most = within(most_memory(memory) + LAST_MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1])
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    allow_memory(LEAST_MEMORY if memory == 'auto' else int(memory))


def allow_memory(most: int) -> None:
    """Limits private, writable memory: what a session has for itself. Mapped files and libraries do not count (setrlimit(2), RLIMIT_DATA)."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (within(most, hard), hard))


def within(most: int, hard: int) -> int:
    """most, but no more than the limit that is set already; -1 is no limit."""
    return most if hard == -1 else min(most, hard)


def most_memory(setting: str) -> int:
    """The most memory of one session, in bytes. However large an account lets its index grow, others must have memory, too."""
    if setting != 'auto':
        return int(setting)
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    for path in CGROUP_LIMITS:
        try:
            with open(path, 'rb', buffering=0) as file:
                memory = min(memory, int(file.read(64)))
        except (OSError, ValueError):
            continue  # "max"
    return max(memory // 2, LEAST_MEMORY)
