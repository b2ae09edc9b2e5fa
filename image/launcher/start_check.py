"""What the server asks once, before anybody may log in: whether borg is whole, whether it is one that the launcher knows, and whether the kernel's
box really holds here. All of it is in one process: loading borg costs most.

    PYTHON -I -B borg-serve --check BORG FOLDER
"""

import errno
import importlib
import json
import os
import runpy
import shutil
import sys
import tempfile

import borg

from launcher import box, rpc
from launcher.confinement import programs

#: sysexits.h: EX_SOFTWARE.
SELF_TEST_FAILED = 70


def report(program, folder):
    """Prints borg's version, and a line of JSON. Ends with SELF_TEST_FAILED where the self-test failed. program: borg's own script;
    folder: on the file system of the repositories, where a folder can be made for a moment."""
    print(borg.__version__, flush=True)
    # Loaded here, it is there for the fork that runs the self-test, too.
    importlib.import_module('borg.archiver')
    if not passes_self_test(program):
        sys.exit(SELF_TEST_FAILED)
    print(json.dumps({'box': try_somewhere(folder), 'unknown': rpc.unknown()}))


def passes_self_test(program):
    """Runs borg as a session does, without a repository. borg serve runs the self-test, which sessions leave out, and then ends, since its
    input is at an end."""
    child = os.fork()
    if child == 0:
        # On standard output borg says that no client speaks to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = [program, 'serve']
        runpy.run_path(program, run_name='__main__')
        sys.exit()
    return os.waitpid(child, 0)[1] == 0


FULL = (errno.ENOSPC, errno.EDQUOT)


def try_somewhere(folder):
    """The server must start even if the disk of the repositories is full: only deleting and compacting cure that. The box is then tried
    beside the launcher."""
    try:
        return try_box(folder)
    except OSError as err:
        if err.errno not in FULL:
            raise
        return try_box(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def try_box(folder):
    """None if a box holds, else the reason. A version number is not enough: a child goes into a box, and tries what must fail there."""
    place = tempfile.mkdtemp(prefix='probe-', dir=folder)
    try:
        for name in ('inside', 'outside'):
            os.mkdir(os.path.join(place, name))
        # Written here and not in the child, so that the caller sees the errno of a full disk.
        for name in ('inside', 'outside'):
            with open(os.path.join(place, name, 'file'), 'w') as file:
                file.write(name)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, (from_inside(place) or '').encode())
            except BaseException as err:
                os.write(writer, ('%s: %s' % (type(err).__name__, err)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader) as pipe:
            said = pipe.read(1000)
        status = os.waitpid(child, 0)[1]
        return said or ('the probe ended with %d' % status if status else None)
    finally:
        shutil.rmtree(place)


def from_inside(place):
    """Why the box does not hold; None if it does."""
    inside = box.open_folder(os.path.realpath(os.path.join(place, 'inside')))
    outside = os.path.join(place, 'outside')
    try:
        box.confine([*programs(box.READ), (box.CHANGE, inside)])
    except box.NoBox as err:
        return 'the kernel or the profile of the container refuses Landlock (%s)' % err
    with open(os.path.join(place, 'inside', 'file'), 'r+') as file:
        file.read()
    os.rename(os.path.join(place, 'inside', 'file'), os.path.join(place, 'inside', 'other'))
    attempts = {
        'read': lambda: open(os.path.join(outside, 'file')).close(),
        'list': lambda: os.listdir(outside),
        'write': lambda: open(os.path.join(outside, 'file'), 'r+').close(),
        'make': lambda: open(os.path.join(outside, 'new'), 'w').close(),
        'remove': lambda: os.unlink(os.path.join(outside, 'file')),
        'link': lambda: os.symlink('other', os.path.join(place, 'inside', 'link')),
    }
    if box.version() >= box.SCOPE_SINCE:
        attempts['signal'] = lambda: os.kill(os.getppid(), 0)
    for name, attempt in attempts.items():
        try:
            attempt()
        except PermissionError:
            continue
        return 'Landlock does not hold here: from inside a box one can %s what is outside' % name
    return None
