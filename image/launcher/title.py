"""Changes what /proc/PID/cmdline shows of a process: for people, and for the code that counts sessions by it."""

import ctypes


class Title:
    """The memory where the kernel reads the arguments of this program (proc_pid_stat(5), arg_start and arg_end). A longer title is cut."""

    def __init__(self) -> None:
        """Raises OSError if the kernel does not tell where it is."""
        with open('/proc/self/stat', 'rb', buffering=0) as file:
            fields = file.read(4096).rpartition(b')')[2].split()
        self.start = int(fields[45])
        self.room = int(fields[46]) - self.start
        if self.start == 0 or self.room <= 0:
            raise OSError('the kernel does not tell where the command line is')

    def write(self, title: bytes) -> None:
        kept = title[:self.room - 1]
        ctypes.memmove(self.start, kept + bytes(self.room - len(kept)), self.room)
