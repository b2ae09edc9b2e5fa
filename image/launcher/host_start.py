"""How the session host starts: what it loads, reads and rehearses before it opens its doors."""

import gc
import os
import resource
import signal
import sys

from launcher import rpc, serving
from launcher.comfort import parser, read_buffer
from launcher.host import Host
from launcher.rehearsal import rehearse
from launcher.terms import Terms


def ignore_signals():
    for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(each, signal.SIG_IGN)


def run(path):
    """Ends with SystemExit, in the host; its sessions end by themselves."""
    ignore_signals()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()
    unknown = rpc.unknown()
    if unknown:
        sys.exit('the server does not know this borg: ' + '; '.join(unknown))
    # Before Terms reads the words of the roles.
    parser.keep()
    terms = Terms(path)
    rehearse(role.words for role in terms.roles)
    read_buffer.keep()
    pid = os.getpid()
    try:
        serving.begin(lambda: serve_all(terms))
    except BaseException as err:
        if os.getpid() == pid:
            raise
        code = serving.code_of(err)
    # Outside the try: inside it, err would still refer to what borg has open, and borg gives that back only when nobody refers to it.
    serving.leave(code)


def serve_all(terms):
    # borg has set umask and signals for its sessions; the host needs others.
    os.umask(0o022)
    ignore_signals()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # The shell of all sessions.
    os.environ['SHELL'] = '/bin/sh'
    host = Host(terms)
    host.title.write(host.NAME)
    gc.collect()
    # The collector never looks at these objects again: it would touch all of them, and each session would then have a copy of its own.
    gc.freeze()
    gc.enable()
    host.daemon.tell(event='ready', pid=os.getpid())
    host.run()
