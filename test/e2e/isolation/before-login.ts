import { BASE_ENVIRONMENT } from '../harness/machine.ts';
import { run } from '../harness/program.ts';
import { connectSilently } from '../harness/silent-connections.ts';
import type { Try } from './other-repositories.ts';

/** Whom the kernel ends first where a stranger has used up the memory: the stranger, or just as well sshd and whoever has logged in. */
export const memoryBeforeLogin: Try = async ({ column, port }, { server }) => {
  const silent = await connectSilently(port, 1, 1);
  try {
    if (silent.open() !== 1) throw new Error('not even one connection stands');
    const words = ['sh', '-c', VALUES, 'sh'];
    const here = () => run('sh', [...words.slice(1), String(port)], BASE_ENVIRONMENT);
    const there = () => server.look([...words, '']);
    const { stdout } = await (column === 'control' ? here() : there());
    const [listener = Number.NaN, ...strangers] = stdout.trim().split(/\s+/).map(Number);
    if (Number.isNaN(listener) || strangers.length === 0) throw new Error(`no sshd with a connection: ${stdout}`);
    return strangers.every((value) => value === 1000) && listener < 300 ? 'limited' : 'allowed';
  } finally {
    silent.close();
  }
};

/** The oom_score_adj of the sshd that listens on the port ('': of the only sshd), and of its connections. */
const VALUES = `
  for status in /proc/[0-9]*/status; do
    folder=\${status%/status}
    grep -q '^Name:.sshd$' $status 2>/dev/null && grep -q '^Uid:.0' $status 2>/dev/null || continue
    children=$(cat $folder/task/*/children 2>/dev/null)
    [ -n "$children" ] || continue
    parent=$(sed -n 's/^PPid:.//p' $status)
    grep -q '^Name:.sshd' /proc/$parent/status 2>/dev/null && continue
    [ -z "$1" ] || ss -Hltnp "sport = :$1" | grep -q "pid=\${folder#/proc/}," || continue
    cat $folder/oom_score_adj
    for child in $children; do cat /proc/$child/oom_score_adj; done
    exit
  done
`;
