"""The entry point: borg as this server runs it. sshd's forced command starts ../borg-serve with borg's own interpreter:

    PYTHON -I borg-serve --session "$SSH_CONNECTION" --account "$USER" --sessions 50 --memory auto -- serve --umask 0007 …

-I keeps PYTHON* variables, the working directory and user site-packages away from the program. Importing borg directly,
instead of through the entry point in /usr/bin, halves the time to the first answer.
"""

import os
import sys

from launcher import limits, refusals, request


def run() -> None:
    if sys.argv[1:2] in (['--compile'], ['--check']):
        from launcher import compiled

        # Before more of it is loaded.
        compiled.run()
        if sys.argv[1] == '--compile':
            return None
        from launcher.start_check import report

        return report(*sys.argv[2:])
    # The variable is taken out of the environment here, before borg is imported: borg parses it with its whole command line, and options
    # such as --exclude-from make it open files while it parses (a memory bomb with /dev/zero). The shell does not drop it, because somebody
    # who tests a new server with "borg --version" must get an answer, and only the original command tells what was asked for.
    words = request.words_of(os.environ.pop('SSH_ORIGINAL_COMMAND', ''))
    command = limits.read(sys.argv[1:])
    if not refusals.is_to_be_served(words, command.own_path):
        return None
    from launcher.session import run_borg

    return run_borg(command, request.log_levels(words))
