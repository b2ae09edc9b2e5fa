"""image/snapshot, killed just before or just after its n-th call that changes something: PYTHON killed.py IMAGE N WORDS…"""

import os
import signal
import sys

image, step, *words = sys.argv[1:]
sys.path.append(image)
sys.argv[1:] = words

import snapshots.__main__ as program  # noqa: E402
from snapshots import exchange  # noqa: E402

left = int(step)


def counted(call):
    def counting(*given, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **named)

    return counting


class Entries(list):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def backwards(*given):
    """A file system names what is in a folder in any order."""
    with scandir(*given) as found:
        return Entries(sorted(found, key=lambda each: each.name, reverse=True))


scandir, os.scandir = os.scandir, backwards
for name in ('mkdir', 'link', 'unlink', 'rename', 'fchown', 'fchmod', 'fsync', 'write'):
    setattr(os, name, counted(getattr(os, name)))
exchange.rename = counted(exchange.rename)
program.run()
