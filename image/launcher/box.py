"""A box of the kernel (landlock(7)) around this process and all that it starts. From then on the kernel refuses what the box does not
allow, even where somebody has taken over the process. A process can make its box smaller, never larger, and needs no privilege for it.

The numbers are those of linux/landlock.h. The system calls have the same numbers on every machine but alpha.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
WHICH_VERSION = 1
PATH_BENEATH = 1
NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG = 1 << 7, 1 << 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
#: Files and folders only: a device, a socket, a FIFO or a link cannot be made.
CHANGE = READ | WRITE_FILE | TRUNCATE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER
USE_DEVICE = READ_FILE | WRITE_FILE | IOCTL_DEV
EVERYTHING = (1 << 16) - 1

#: What a rule for anything but a folder may allow; the kernel refuses the rest.
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

#: Bits of the first field, by the version of the interface. Version 5 is the first that knows all of them.
FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
NET_SINCE, ALL_TCP = 4, 3
SCOPE_SINCE, SIGNALS_AND_ABSTRACT_SOCKETS = 6, 3

libc = ctypes.CDLL(None, use_errno=True)


class NoBox(Exception):
    """This kernel has no boxes, or the container's profile does not let us ask for one."""


class Ruleset(ctypes.Structure):
    _fields_ = [('files', ctypes.c_uint64), ('net', ctypes.c_uint64), ('scope', ctypes.c_uint64)]


class PathRule(ctypes.Structure):
    _pack_ = 1
    _layout_ = 'ms'  # Python 3.14 wants it with _pack_
    _fields_ = [('allowed', ctypes.c_uint64), ('folder', ctypes.c_int32)]


def call(number, *args):
    result = libc.syscall(ctypes.c_long(number), *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def version():
    """The version of the interface, from 1 on.

    Raises NoBox."""
    try:
        return call(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(WHICH_VERSION))
    except OSError as err:
        # ENOSYS: older than 5.13, or seccomp; EOPNOTSUPP: switched off at boot; EPERM: seccomp.
        raise NoBox(errno.errorcode.get(err.errno or 0, str(err.errno))) from None


def confine(rules: Iterable[tuple[int, int | str]], net: bool = False) -> None:
    """Puts this process into a box.

    rules: pairs of what is allowed and where. Where is a descriptor, or a path; a path that does not exist is left out. A rule holds for
    everything below. net: TCP stays open.

    Raises NoBox, and OSError where the kernel has boxes and refuses this one."""
    interface = version()
    files = FILE_RIGHTS.get(interface, EVERYTHING)
    ruleset = Ruleset(files, 0 if net or interface < NET_SINCE else ALL_TCP,
                      SIGNALS_AND_ABSTRACT_SOCKETS if interface >= SCOPE_SINCE else 0)
    # An older kernel accepts a longer structure if the bytes that it does not know are zero.
    descriptor = call(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(ctypes.sizeof(ruleset)), ctypes.c_uint32(0))
    try:
        for allowed, where in rules:
            allow(descriptor, allowed & files, where)
        if libc.prctl(NO_NEW_PRIVS, *(ctypes.c_ulong(each) for each in (1, 0, 0, 0))):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        call(RESTRICT_SELF, ctypes.c_int(descriptor), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def allow(ruleset, allowed, where):
    if isinstance(where, int):
        return add_rule(ruleset, allowed, where)
    try:
        found = os.open(where, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None  # less is allowed then
    try:
        return add_rule(ruleset, allowed, found)
    finally:
        os.close(found)


def add_rule(ruleset, allowed, found):
    if not stat.S_ISDIR(os.fstat(found).st_mode):
        allowed &= OF_FILES
    if allowed:
        call(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), ctypes.byref(PathRule(allowed, found)), ctypes.c_uint32(0))


def open_folder(path):
    """A descriptor of the folder. No part of the path may be a link. The descriptor stays this folder even if the folder gets another
    name. It can be used for a rule, and to look things up in it.

    path: absolute, without dots.

    Raises OSError."""
    found = os.open('/', os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.split('/'):
        if not part:
            continue
        try:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=found)
        finally:
            os.close(found)
        found = below
    return found
