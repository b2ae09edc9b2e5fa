"""One account must not take the server down, whatever it has its sessions do."""

import os
import resource

# Open files: borg keeps up to 90 segments open, and a few more.
MOST_FILES = 256
# What a session needs before it has opened anything, twice (bytes): borg itself 45 MB, and 60 MB for requests not yet complete.
LEAST_MEMORY = 256 << 20
# For the words that say why it ends.
LAST_MEMORY = 32 << 20
# Which of them there are: a session would else look in vain for the others each time.
CGROUP_LIMITS = [path for path in ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes') if os.path.exists(path)]


def limit_process(memory: str) -> None:
    """borg serve starts no process and no thread. memory: bytes, or 'auto'."""
    for limit, most in ((resource.RLIMIT_NPROC, 0), (resource.RLIMIT_NOFILE, MOST_FILES), (resource.RLIMIT_CORE, 0)):
        most = within(most, resource.getrlimit(limit)[1])
        resource.setrlimit(limit, (most, most))
    # The most that it may come to need. A session that was taken over can lift its own limit up to here, and no further.
    most = within(most_memory(memory) + LAST_MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1])
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    allow_memory(LEAST_MEMORY if memory == 'auto' else int(memory))


def allow_memory(most: int) -> None:
    """Private, writable memory: what a session has for itself. Mapped files and libraries do not count (setrlimit(2), RLIMIT_DATA)."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (within(most, hard), hard))


def within(most: int, hard: int) -> int:
    """What somebody else has limited already cannot be widened; -1 is no limit."""
    return most if hard == -1 else min(most, hard)


def most_memory(setting: str) -> int:
    """In bytes. However large an account lets its index grow, others must have memory, too."""
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
