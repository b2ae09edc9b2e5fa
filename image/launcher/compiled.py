"""The launcher's modules, compiled once: else each session would compile them anew, in a folder where it can keep nothing.

    PYTHON -I -B borg-serve --compile

Each compiled file says of which source it is, by a hash that Python compares whenever it loads one (PEP 552). What was compiled of another source,
or by another Python, never runs, whatever the times of the files are: so they can be shipped, and copied."""

import importlib.util
import os
import sys

#: sysexits.h: EX_CANTCREAT.
CANNOT_WRITE = 73
#: PEP 552: by the hash of its source, which is looked at.
CHECKED_HASH = 0b11


def run() -> None:
    """Compiles what is not compiled yet. Says why it could not, and ends with CANNOT_WRITE then."""
    # What it writes is for tenants to read, whatever the umask of whoever starts the server.
    before = os.umask(0o022)
    try:
        for folder, _, names in os.walk(os.path.dirname(os.path.abspath(__file__))):
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
    # Shipped compiled, no start needs it.
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
