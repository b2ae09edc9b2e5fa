#!/bin/bash
# A Python program may have a timer (signal.setitimer) with a handler of its own, and may end while the timer still runs.
#
# Tried with: python3.11 3.11.2-6+deb12u9 of Debian 12.
#
# One would guess: the handler stays until the process is gone. So the timer either calls it, or comes too late to do anything.
#
# What happens: Python puts back the default of each signal that has a handler, before it frees the program's objects. The default of SIGALRM is to
# end the process. If freeing takes longer than the timer, the program is killed, after all its work was done: with no traceback, and with the exit
# code 142 where a shell had started it. A signal that is ignored stays ignored:
#
#   with a handler: the work is done, killed by signal 14
#   with a handler, ignored by atexit: the work is done, freed, exit code 0
#   with a handler, timer stopped by atexit: the work is done, freed, exit code 0
#
# A program that uses a timer now and then sees this only on a busy machine, where ending takes long enough.
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp --directory)
trap 'rm --recursive --force "$folder"' EXIT
cd "$folder"

apt-get download python3.11-minimal=3.11.2-6+deb12u9 libpython3.11-minimal=3.11.2-6+deb12u9 >/dev/null 2>&1
for package in *.deb; do dpkg-deb --extract "$package" .; done

cat >timer.py <<'END'
import atexit, os, signal, sys, time
class Slow:
    def __del__(self, wait=time.sleep, say=os.write):
        wait(1)
        say(1, b', freed')
slow = Slow()
signal.signal(signal.SIGALRM, lambda *_: None)
if sys.argv[1:] == ['ignored']:
    atexit.register(signal.signal, signal.SIGALRM, signal.SIG_IGN)
if sys.argv[1:] == ['stopped']:
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
signal.setitimer(signal.ITIMER_REAL, 0.5, 0.1)
os.write(1, b'the work is done')
END
try() {
  local code=0
  PYTHONHOME=usr usr/bin/python3.11 -S timer.py "$@" || code=$?
  if [ "$code" -gt 128 ]; then echo ", killed by signal $((code - 128))"; else echo ", exit code $code"; fi
}
found=$(
  echo "with a handler: $(try 2>/dev/null)"
  echo "with a handler, ignored by atexit: $(try ignored)"
  echo "with a handler, timer stopped by atexit: $(try stopped)"
)
echo "$found"
diff <(echo "$expected") <(echo "$found") >&2
