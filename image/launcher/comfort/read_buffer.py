"""borg reads each message into 10 MB of memory, of which it gives back what it did not need. By default the C library asks the
kernel for that much each time, and the kernel clears what was used of it. Once more has been freed, it keeps as much (mallopt(3),
M_MMAP_THRESHOLD): half of the system time of a backup of small files."""

from borg.remote import BUFSIZE


def keep():
    bytes(BUFSIZE + (1 << 20))
