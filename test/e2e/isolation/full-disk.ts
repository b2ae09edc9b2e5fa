import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open } from '../harness/raw-borg.ts';
import { fromOutside } from '../harness/small-disk.ts';
import type { Try } from './other-repositories.ts';
import { COMMIT, GET_SECRET, SECRET, speak } from './scene.ts';
import { judge } from './verdict.ts';

/** Less than an account's quota here. Half of it at most is kept free. */
const DISK = '8m';
/** Pieces of a million bytes each: more than the server lets in, and more than the disk holds. */
const [PIECES, MORE] = [6, 9];

/** Moves the repository, unchanged, to a small disk of its own. */
const MOUNT = `
  set -e
  kept=$(mktemp -d)
  cp -a "$1/." $kept
  mount -t tmpfs -o size=${DISK},mode=0700 none "$1"
  cp -a $kept/. "$1"
  rm -rf $kept
`;

/** Each repository is on a disk of its own, so that the full disk disturbs no other row. */
export const fullDisk: Try = async (actor, { server, plain }) => {
  const { own, column, owner } = actor;
  const puts = Array.from(
    { length: column === 'control' ? MORE : PIECES },
    () => ['put', { id: randomBytes(32), data: randomBytes(1_000_000) }] as const,
  );
  const calls = [open(own, { exclusive: true }), ...puts, COMMIT];
  if (column === 'no key') {
    const { stdout, stderr } = await speak(actor, calls.slice(0, 2));
    return judge(stdout.includes('server_version'), stderr);
  }
  const outside =
    column === 'control'
      ? (words: readonly string[]) => void execFileSync('nsenter', ['--target', String(plain.pid), '--mount', ...words])
      : fromOutside(server);
  outside(['sh', '-c', MOUNT, 'sh', own]);
  try {
    const { stdout, stderr } = await speak(actor, calls);
    if (column === 'control') return judge(/No space left on device/.test(stdout), `${stdout}${stderr}`);
    if (!/takes no new data/.test(stdout)) return judge(!stdout.includes('exception_class'), `${stdout}${stderr}`);
    const after = await speak(actor, [open(own, { lock: false }), GET_SECRET]);
    if (!after.stdout.includes(SECRET)) throw new Error(`nothing can be read any more: ${after.stdout}`);
    const other = await owner.client.ssh(owner.account, ['borg', '--version'], { reject: false });
    return other.stdout.startsWith('borg ') ? 'limited' : judge(false, other.stderr);
  } finally {
    outside(['umount', '--lazy', own]);
  }
};
