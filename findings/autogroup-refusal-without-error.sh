#!/bin/bash
# A process may set the nice value of its own autogroup: it writes a number into /proc/self/autogroup (sched(7)). The kernel takes ten such
# changes a second, from all processes without CAP_SYS_ADMIN together. To the others it says EAGAIN, although the file is no pipe and no socket,
# and nobody has asked for O_NONBLOCK.
#
# Tried with: python3.11 3.11.2-6+deb12u9 and dash 0.5.12-2 of Debian 12, the npm package node 24.21.0, Linux 6.18.
#
# One would guess: whoever writes too early gets an error, in every language. A program that wants to try again waits for that error.
#
# What happens: Python's unbuffered file object raises none. Its write() takes EAGAIN for "this stream does not block", and returns None. So
# `try: file.write(b'1')` looks like success, and the nice value stays as it was. os.write() and a buffered file raise BlockingIOError, Node
# throws, and the shell says at least that something is wrong:
#
#   python, unbuffered write: None
#   python, os.write: BlockingIOError 11
#   python, buffered write: BlockingIOError 11
#   node, fs.writeSync: EAGAIN
#   dash, echo: I/O error
#
# Whoever writes to files of /proc without a buffer should look at what write() returns, or use os.write().
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp --directory)
trap 'rm --recursive --force "$folder"' EXIT
cd "$folder"
chmod 755 .

apt-get download python3.11-minimal=3.11.2-6+deb12u9 libpython3.11-minimal=3.11.2-6+deb12u9 dash=0.5.12-2 >/dev/null 2>&1
for package in *.deb; do dpkg-deb --extract "$package" .; done
npm install --silent --no-save node@24.21.0 >/dev/null 2>&1

cat >write.py <<'END'
import os, sys
how = sys.argv[1]
def write():
    if how == 'os.write':
        return os.write(os.open('/proc/self/autogroup', os.O_WRONLY), b'1')
    with open('/proc/self/autogroup', 'wb', buffering=0 if how == 'unbuffered write' else -1) as file:
        return file.write(b'1')
for _ in range(1000):
    try:
        found = str(write())
    except OSError as err:
        found = '%s %d' % (type(err).__name__, err.errno)
    if found != '1':
        break
print('python, %s: %s' % (how, found))
END
cat >write.mjs <<'END'
import { openSync, writeSync } from 'node:fs';
const file = openSync('/proc/self/autogroup', 'w');
let found = 'written';
for (let count = 0; count < 1000 && found === 'written'; count += 1)
  try {
    writeSync(file, '1');
  } catch ({ code }) {
    found = code;
  }
console.log(`node, fs.writeSync: ${found}`);
END
cat >write.sh <<'END'
for count in $(seq 1000); do
  found=$( (echo 1 >/proc/self/autogroup) 2>&1) || break
done
echo "dash, echo: ${found##*echo: }"
END
# Without CAP_SYS_ADMIN. What setpriv starts has files of its own in /proc.
other() { setsid --wait setpriv --reuid 61000 --clear-groups "$@"; }
found=$(
  for how in 'unbuffered write' os.write 'buffered write'; do
    other env PYTHONHOME="$folder/usr" usr/bin/python3.11 -S write.py "$how"
  done
  other node_modules/node/bin/node write.mjs
  other bin/dash write.sh
)
echo "$found"
diff <(echo "$expected") <(echo "$found") >&2
