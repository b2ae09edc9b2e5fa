"""One borg from its start to its client's first byte. In this order it is counted, limited, guarded and put into its box."""

import os
import sys

from launcher import account, crowd
from launcher.box import NoBox
from launcher.comfort import selftest
from launcher.ending import end
from launcher.process_limits import limit_process


def run_borg(command, log_levels):
    """Ends with borg's own exit code. log_levels: the client's words, which come after those of the server."""
    if not command.serves:  # borg on the server itself, perhaps on an operator's terminal
        from launcher.terminal import guard

        guard()
    words = [*command.borg, *(account.quota_words(command.limits and command.limits.account) if command.serves else ())]
    limits = command.limits
    others: set[int] = set()
    if limits:
        others, _ = crowd.refuse_beyond(limits.sessions, limits.account)
        limit_process(limits.memory)
        crowd.expect_to_be_ended_first(0)
    selftest.leave_out()
    from launcher import install
    from launcher.comfort import read_buffer

    if command.maintenance:
        from launcher.comfort.maintenance import look_often_for_lock

        look_often_for_lock()
    prepared = install.prepare(command)
    box = box_of(command) if command.serves else None
    install.install(prepared, command, box, outcome_of() if limits else None, keeping_of(command))
    read_buffer.keep()
    if limits:
        # Once more: if many began at once, some could not be seen yet the first time.
        _, older = crowd.refuse_beyond(limits.sessions, limits.account, others)
        crowd.give_way(older)
    if box is not None:
        enter(box)
    elif command.reach is not None:
        close_in(command)
    run_main([*words, *log_levels])


def close_in_hosted(command, log_levels, role, person):
    """The same in a fork of the session host, which has borg loaded, and is counted and limited already. role: see terms.py; person: the account.
    Returns the function that serves; that ends as borg does."""
    from launcher import install, serving

    box = box_of(command)
    install.install(role.prepared, command, box, outcome_of(), keeping_of(command))
    enter(box)
    quota = account.quota_of(person.comment)
    words = [*command.borg, *account.words_of(quota), *log_levels]
    # In debug mode main() itself says something before it serves.
    if role.start is None or log_levels[-1:] == ['--debug']:
        return lambda: serving.begin_anew(lambda: run_main(words))
    sys.argv = ['borg', *words]  # borg shows it with an error
    level = log_levels[-1].lstrip('-') if log_levels else ''
    return lambda: serving.serve(role.prepared.server, role.start, person.name, quota, level)


def run_main(words):
    from borg.archiver import main

    sys.argv = ['borg', *words]
    main()


def enter(box):
    try:
        box.begin()
    except NoBox:
        end('This server requires a box of the kernel for each session (the setting BOX), and the kernel has none now.')


def box_of(command):
    """The boxes of a session."""
    from launcher.confinement import Session

    return Session(command.repository or None, command.folder or None, command.is_admin, command.box)


def outcome_of():
    from launcher.outcome import Outcome

    outcome = Outcome(os.environ.get('BORG_BASE_DIR', '/'))
    outcome.connect(beside('session-ends'))
    return outcome


def keeping_of(command):
    if not command.asks:
        return None
    from launcher.keeping import Keeping

    if command.ask is not None:
        import socket

        # Not for a program that borg starts.
        os.set_inheritable(command.ask, False)
        return Keeping(command.reach.root if command.reach else '/', socket.socket(fileno=command.ask))
    keeping = Keeping(os.environ.get('BORG_BASE_DIR', '/'))
    keeping.connect(beside('keep'))
    return keeping


def beside(name):
    """The path of one of the server's sockets: beside the launcher."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), name)


def close_in(command):
    """The box of a borg that the server runs itself."""
    from borg.helpers import Error

    from launcher.confinement import confine_own

    reach = command.reach
    try:
        confine_own(reach.root, reach.repository, reach.base, reach.reach, command.box)
    except NoBox as err:
        print('BOX=required, and this kernel has no box (Landlock: %s)' % err, file=sys.stderr)
        sys.exit(2)
    except Error as err:
        print(err.get_message(), file=sys.stderr)
        sys.exit(2)
