"""Starts a forced command as sshd does, but without sshd, N times in a row.

    python3 -I forced-command.py '{"account": NAME, "command": …, "environment": {…}, "requests": HEX, "rounds": N}'

It prints JSON: `answers`, milliseconds from the start of the account's shell to the first byte of borg's answer; and `cpu`, CPU seconds of the
shells, of what they became, and of what those waited for.
"""

import json
import os
import pwd
import resource
import sys
import time


def main(wanted):
    # As with sshd: a process of root, below it a process of the account, below that the command. The session host asks the kernel for this.
    pid = os.fork()
    if pid == 0:
        measure(wanted)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def measure(wanted):
    account = become(wanted['account'])
    environment = {
        'USER': account.pw_name, 'LOGNAME': account.pw_name, 'HOME': account.pw_dir, 'SHELL': account.pw_shell,
        'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/games', **wanted['environment']}
    requests = bytes.fromhex(wanted['requests'])
    answers = [first_answer(account.pw_shell, wanted['command'], environment, requests) for _ in range(wanted['rounds'])]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({'answers': answers, 'cpu': used.ru_utime + used.ru_stime}), flush=True)


def become(name):
    account = pwd.getpwnam(name)
    os.initgroups(name, account.pw_gid)
    os.setresgid(*[account.pw_gid] * 3)
    os.setresuid(*[account.pw_uid] * 3)
    try:
        os.chdir(account.pw_dir)
    except OSError:
        os.chdir('/')
    return account


def first_answer(shell, command, environment, requests):
    theirs, ours = os.pipe()
    answer, said = os.pipe()
    begun = time.perf_counter()
    # This makes no copy of this process (fork): a copy would count as the command's.
    pid = os.posix_spawn(shell, [os.path.basename(shell), '-c', command], environment,
                         file_actions=[(os.POSIX_SPAWN_DUP2, theirs, 0), (os.POSIX_SPAWN_DUP2, said, 1)])
    os.close(theirs)
    os.close(said)
    os.write(ours, requests)
    heard = os.read(answer, 65_536)
    took = (time.perf_counter() - begun) * 1000
    os.close(ours)
    while heard and os.read(answer, 65_536):
        pass
    os.close(answer)
    _, status = os.waitpid(pid, 0)
    if not heard:
        sys.exit('the forced command ended with %d and gave no answer' % os.waitstatus_to_exitcode(status))
    return took


sys.exit(main(json.loads(sys.argv[1])))
