#!/bin/bash
# Node.js' child_process.spawn() tells by an 'error' event, a moment later, that a program could not be started. Until then the caller has
# a ChildProcess. Its pid is undefined, and its documentation says of kill(): true if the signal was sent, else false.
#
# Tried with: the npm packages node 20.20.2 and 24.21.0, and strace 6.1-0.1 of Debian 12.
#
# One would guess: kill() before that event says false and does nothing, since there is nobody to signal. A server that is stopping, or a
# timer, may well call it then.
#
# What happens: Node asks the kernel all the same. Release 20 asks for pid 0, which means the caller's own process group (kill(2)). It says
# true, and killed is true. Release 24 asks for a number that nobody has set and that differs from run to run (written as N here). It says what
# the kernel says of that number, mostly false. After the event neither asks. Signal 0, which is sent to nobody, shows it:
#
#   20.20.2 at once: pid undefined, kill(0) true, killed true
#   20.20.2 then: ENOENT, kill(0) false
#   20.20.2 asked the kernel for: 0
#   24.21.0 at once: pid undefined, kill(0) false, killed false
#   24.21.0 then: ENOENT, kill(0) false
#   24.21.0 asked the kernel for: N
#
# Whoever stops children in a clean-up should look at `pid` first.
set -euo pipefail
expected=$(sed -n 's/^#   //p' "$0")
folder=$(mktemp --directory)
trap 'rm --recursive --force "$folder"' EXIT
cd "$folder"

apt-get download strace=6.1-0.1 >/dev/null 2>&1
dpkg-deb --extract strace_*.deb .
cat >child.mjs <<'END'
import { spawn } from 'node:child_process';
const { version } = process;
const child = spawn('/nonexistent/program');
child.on('error', ({ code }) => console.log(`${version.slice(1)} then: ${code}, kill(0) ${child.kill(0)}`));
console.log(`${version.slice(1)} at once: pid ${child.pid}, kill(0) ${child.kill(0)}, killed ${child.killed}`);
END
found=$(
  for version in 20.20.2 24.21.0; do
    npm install --silent --no-save --prefix "$version" "node@$version" >/dev/null 2>&1
    usr/bin/strace --follow-forks --trace=kill --output=asked "$version/node_modules/node/bin/node" child.mjs
    echo "$version asked the kernel for: $(sed -n 's/.* kill(\([0-9-]*\), 0).*/\1/p' asked | sed 's/^-\?[1-9][0-9]*$/N/')"
  done
)
echo "$found"
diff <(echo "$expected") <(echo "$found") >&2
