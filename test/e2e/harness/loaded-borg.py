"""A borg for the suite's clients that is loaded once: /usr/bin/python3 loaded-borg.py SOCKET

A short borg command spends two thirds of its CPU on loading borg, and the suite runs hundreds of them. Here each command is a fork of
this process, which runs borg's own main(). loaded-borg.ts is the other side.

A command is up to four connections to SOCKET. Each begins with a line of JSON: {"id": …, "place": 0 to 3}. Places 0 to 2 become the
standard streams. Place 3 says {"words": …, "env": …, "cwd": …, "input": whether place 0 comes}, too, and hears the exit code. This
process ends when its standard input does.
"""

import atexit
import gc
import json
import os
import selectors
import socket
import sys
import traceback

from borg.archiver import main

LONGEST_LINE = 1 << 20

waiting = selectors.DefaultSelector()
# By id: what has come so far of a command that is not complete
commands = {}


def begun(connection):
    """Reads the first line of a connection, and nothing behind it: what follows is for borg."""
    seen = connection.recv(LONGEST_LINE, socket.MSG_PEEK)
    end = seen.find(b"\n") + 1
    if seen and not end:
        return
    waiting.unregister(connection)
    if not seen:
        connection.close()
        return
    said = json.loads(connection.recv(end, socket.MSG_WAITALL))
    command = commands.setdefault(said["id"], {})
    command[said["place"]] = connection
    command.update(said)
    if len(command.keys() & {0, 1, 2, 3}) < 3 + command.get("input", 1):
        return
    begin(commands.pop(said["id"]))


def begin(command):
    pid = os.fork()
    if pid == 0:
        end = 255
        try:
            end = borg(command)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(end)
    for place in (0, 1, 2):
        if place in command:
            command[place].close()
    process = os.pidfd_open(pid)
    waiting.register(process, selectors.EVENT_READ, lambda _: ended(process, pid, command[3]))


def ended(process, pid, connection):
    waiting.unregister(process)
    os.close(process)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        connection.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
    except OSError:
        # The test has ended meanwhile.
        pass
    connection.close()


def borg(command):
    """borg's own script: in this process, which has forked off. Returns the exit code."""
    null = os.open(os.devnull, os.O_RDONLY)
    for place in (0, 1, 2):
        os.dup2(command[place].fileno() if place in command else null, place)
    # Those of this process remember what it was started with: a file, say, which can be sought in.
    sys.stdin, sys.stdout, sys.stderr = open(0, errors="surrogateescape"), open(1, "w"), open(2, "w")
    # borg wraps both anew, and the file would be closed with the last object that knows it.
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    # Another command's output would not end before this one does.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(command["cwd"])
    os.environ.clear()
    os.environ.update(command["env"])
    sys.argv[:] = ["/usr/bin/borg", *command["words"]]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve(path):
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen(512)
    waiting.register(door, selectors.EVENT_READ, lambda _: accepted(door))
    waiting.register(sys.stdin, selectors.EVENT_READ, lambda _: sys.exit())
    # A collection in a fork would copy every page that it looks at.
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    while True:
        for key, _ in waiting.select():
            key.data(key.fileobj)


def accepted(door):
    connection, _ = door.accept()
    waiting.register(connection, selectors.EVENT_READ, begun)


serve(sys.argv[1])
