"""Compiles the launcher's modules once, and those of the snapshots beside it. Otherwise each session would compile them again, since it can keep
nothing in their folder.

    PYTHON -I -B borg-serve --compile

Each compiled file names its source by a hash, which Python compares whenever it loads the file (PEP 552). A file that was compiled from another
source, or by another Python, never runs, whatever the times of the files are. So the files can be shipped and copied."""

import importlib.util
import os
import sys

#: sysexits.h: EX_CANTCREAT.
CANNOT_WRITE = 73
#: PEP 552: a file is valid by the hash of its source, and Python checks that.
CHECKED_HASH = 0b11


def run() -> None:
    """Compiles what is not compiled yet. Where it cannot, it says why, and ends with CANNOT_WRITE."""
    # Tenants must be able to read what it writes, whatever umask the server was started with.
    before = os.umask(0o022)
    try:
        launcher = os.path.dirname(os.path.abspath(__file__))
        # Where tenants run the launcher, there are no snapshots beside it.
        for top in (launcher, os.path.join(os.path.dirname(launcher), 'snapshots')):
            for folder, _, names in os.walk(top):
                for name in names:
                    if name.endswith('.py'):
                        compile_module(os.path.join(folder, name))
    except OSError as err:
        print(err, file=sys.stderr)
        sys.exit(CANNOT_WRITE)
    finally:
        os.umask(before)


def compile_module(source: str) -> None:
    to = importlib.util.cache_from_source(source)
    if is_compiled(source, to):
        return
    # A launcher that was shipped compiled never needs this module.
    import py_compile

    py_compile.compile(source, to, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


def is_compiled(source: str, to: str) -> bool:
    try:
        with open(to, 'rb') as file:
            header = file.read(16)
    except FileNotFoundError:
        return False
    with open(source, 'rb') as file:
        hashed = importlib.util.source_hash(file.read())
    return header == importlib.util.MAGIC_NUMBER + CHECKED_HASH.to_bytes(4, 'little') + hashed
