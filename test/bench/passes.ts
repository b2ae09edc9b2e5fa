import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createPass } from '../../src/reconcile/pass.ts';
import { scratchRoot } from '../reconcile/scratch-root.ts';
import { anyKey, names, writeKeys } from './key-tree.ts';
import { median, type Row, timed, times } from './measure.ts';

const ROUNDS = 5;
/** How many accounts useradd really makes where all of them would take minutes. */
const SAMPLE = 50;

/** (a) The passes beside the same accounts made by useradd in a shell loop. */
export const benchPasses = async (full: boolean): Promise<Row[]> => {
  const rows: Row[] = [];
  for (const count of [100, 1000, 10_000, ...(full ? [40_000] : [])]) rows.push(...(await benchAt(count)));
  const [small, large] = [rows.find(coldAt(1000)), rows.find(coldAt(10_000))];
  if (small && large)
    rows.push({
      ...{ part: 'a', what: 'cold pass of 10,000 per account, beside 1,000', unit: 'ms' },
      ...{ ours: large.ours / 10_000, beside: { what: 'at 1,000', figure: small.ours / 1000 } },
      goal: { of: 'ratio', limit: 1.2 },
    });
  return rows;
};

const coldAt = (count: number) => (row: Row) => row.what === `cold pass, ${count} accounts`;

const benchAt = async (count: number): Promise<Row[]> => {
  const { cold, unchanged, oneKey, cpu } = await ourPasses(count);
  const loop = await useraddLoop(count);
  const beside = { what: `useradd loop${loop.sampled ? ' (sampled)' : ''}`, figure: loop.add };
  const removal = { what: 'userdel + useradd of one', figure: loop.change };
  const looks = { what: 'id of each, in a loop (sampled)', figure: loop.look };
  return [
    {
      ...{ part: 'a', what: `cold pass, ${count} accounts`, unit: 'ms', ours: median(cold), beside },
      note: `${Math.round(median(cpu))} ms of CPU`,
      ...(count === 1000 && { goal: { of: 'ratio', limit: 1 / 100 } }),
    },
    ...(count === 10_000
      ? [
          {
            part: 'a',
            what: 'cold pass, 10,000',
            unit: 'ms',
            ours: median(cold),
            beside,
            goal: { of: 'ours', limit: 3000 },
          } as const,
        ]
      : []),
    {
      ...{ part: 'a', what: `unchanged pass, ${count}`, unit: 'ms', ours: median(unchanged), beside: looks },
      ...(count === 10_000 && { goal: { of: 'ours', limit: 500 } }),
    },
    { part: 'a', what: `one key changed, ${count}`, unit: 'ms', ours: median(oneKey), beside: removal },
  ];
};

/** Our passes on a scratch root in memory. Files, owners and modes are real. A disk's own time is not measured. */
const ourPasses = async (count: number) => {
  if (existsSync('/dev/shm')) process.env.TMPDIR = '/dev/shm';
  const cold: number[] = [];
  const cpu: number[] = [];
  let unchanged: number[] = [];
  let oneKey: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const machine = scratchRoot();
    try {
      const folder = join(machine.places.sshkeys, 'repos');
      writeKeys(folder, names(count));
      const pass = createPass(machine.world());
      const once = () => pass({ occasion: 'asked', dryRun: false }, new AbortController().signal);
      const start = process.cpuUsage();
      cold.push(await timed(once));
      const { user, system } = process.cpuUsage(start);
      cpu.push((user + system) / 1000);
      if (round > 0) continue;
      // One more pass comes when nothing has changed for 2 s. After that no pass reads again what is unchanged.
      await new Promise((resolve) => setTimeout(resolve, 2100));
      await once();
      unchanged = await times(ROUNDS, once);
      oneKey = await times(ROUNDS, once, () => writeFileSync(join(folder, 'host7.example.org'), `${anyKey()}\n`));
    } finally {
      rmSync(machine.root, { recursive: true, force: true });
    }
  }
  return { cold, unchanged, oneKey, cpu };
};

/**
 * The loop of a shell script, with a copy of /etc in a private mount namespace. Where only a sample is made, half of `count` is
 * first written into passwd, group and shadow directly. So the sample sees files of the size that the loop sees on average.
 */
const useraddLoop = async (count: number) => {
  const sampled = count > SAMPLE * 2;
  const made = sampled ? SAMPLE : count;
  const { stdout } = await promisify(execFile)('unshare', [
    ...['--mount', '--propagation', 'private', 'bash', '-euc', SCRIPT, 'bench'],
    ...[String(sampled ? count >> 1 : 0), String(made)],
  ]);
  const found = [...stdout.matchAll(/(\d+) us/g)].map(([, us]) => Number(us) / 1000);
  const of = (part: number): number => median(found.slice(part * ROUNDS, (part + 1) * ROUNDS));
  const each = made / ROUNDS;
  return { add: (of(0) / each) * count, change: of(1), look: (of(2) / each) * count, sampled };
};

/** Times each round: it makes accounts, removes one and makes it again, and looks at as many accounts as it has made. */
const SCRIPT = `
  scratch=$(mktemp -d); mount -t tmpfs none "$scratch"; cp -a /etc/. "$scratch" 2>/dev/null || true
  mount --bind "$scratch" /etc; umount -l "$scratch"; rmdir "$scratch"
  for i in $(seq "$1"); do
    echo "early$i:x:$((10000 + i)):$((10000 + i))::/nowhere:/bin/sh" >&3
    echo "early$i:x:$((10000 + i)):" >&4
    echo "early$i:*:19000:0:99999:7:::" >&5
  done 3>>/etc/passwd 4>>/etc/group 5>>/etc/shadow
  now() { date +%s%N; }
  timed() { local start=$(now); "$@"; echo "$((($(now) - start) / 1000)) us"; }
  add() { useradd -K UID_MAX=200000 -K GID_MAX=200000 -M -d /nowhere -s /bin/sh "$1" 2>/dev/null; }
  each=$(($2 / ${ROUNDS}))
  part() { for i in $(seq $((1 + each * ($2 - 1))) $((each * $2))); do "$1" "late$i"; done; }
  again() { userdel "$1"; add "$1"; }
  look() { id "$1" >/dev/null; }
  for round in $(seq ${ROUNDS}); do timed part add "$round"; done
  for round in $(seq ${ROUNDS}); do timed again "late$round"; done
  for round in $(seq ${ROUNDS}); do timed part look "$round"; done
`;
