import { readFileSync } from 'node:fs';
import { until } from '../e2e/harness/machine.ts';
import { type Call, open } from '../e2e/harness/raw-borg.ts';
import { type Contender, type Contenders, type Own, PLAIN, TITLES } from './contenders.ts';
import { inTurn, median, type Row } from './measure.ts';
import { atRest, hostAmong, type Seen, sessionProcesses } from './process-tree.ts';
import { firstAnswer, memoryOf } from './session.ts';

const ROUNDS = 5;
/** A session whose memory stays the same for so long waits for its client. */
const STILL_MS = 300;

/** (h) The memory of a session alone while it waits for its client, and the memory of the session host. */
export const benchResting = async ({ plain, own }: Contenders): Promise<Row[]> => {
  const all = [plain, ...own];
  const greeted = await inTurn(all, ROUNDS, (each) => restingMemory(each, []));
  const most = await inTurn([plain], ROUNDS, (each) => restingMemory(each, [], ({ pid }) => memoryOf(pid, 'VmHWM')));
  const opened = await inTurn(all, ROUNDS, (each) => restingMemory(each, [open(new URL(each.url).pathname)]));
  const row = (
    each: Own,
    what: string,
    found: typeof greeted,
    beside: Row['beside'] | undefined,
    limit?: number,
  ): Row => ({
    ...{ part: 'h', what: `${what}, ${TITLES[each.name]}`, unit: 'MB', ours: median(found(each)) },
    ...{ ...(beside && { beside }), note: 'private and dirty' },
    ...(each.name === 'hosted' && limit !== undefined && { goal: { of: 'ratio', limit } }),
  });
  const besidePlain = (found: (each: typeof plain) => readonly number[], what: string = PLAIN) => ({
    what,
    figure: median(found(plain)),
  });
  const hosts: Row[] = [];
  for (const each of own.filter(({ name }) => name === 'hosted')) {
    const clients = await inTurn<Contender>([each], ROUNDS, () => restingMemory(each, [], clientsMemory));
    hosts.push(row(each, 'the client’s part of it', clients, undefined));
    const host = hostAmong(await atRest(each));
    if (host)
      hosts.push({
        ...{ part: 'h', what: 'the session host itself', unit: 'MB', ours: privateMemory(host.pid) },
        ...{ goal: { of: 'ours', limit: 40 }, note: `private; ${memoryOf(host.pid).toFixed(1)} MB RSS` },
      });
  }
  return [
    ...own.flatMap((each) => [
      row(each, 'memory of a session at rest', greeted, besidePlain(greeted), 0.06),
      // borg tests itself as it begins, and gives the memory for this back. A server needs this memory all the same.
      row(each, 'the same beside the most', greeted, besidePlain(most, `${PLAIN} at its beginning`), 0.06),
      row(each, 'memory with its repository open', opened, besidePlain(opened)),
    ]),
    ...hosts,
  ];
};

const restingMemory = async (
  each: Contender,
  calls: readonly Call[],
  of = ({ pid }: Seen): number => privateMemory(pid, ['Dirty']),
): Promise<number> => {
  const before = await atRest(each);
  let found = Number.NaN;
  const look = async (): Promise<void> => {
    let [last, since] = [Number.NaN, performance.now()];
    found = await until('the session to rest', () => {
      const memory = sessionProcesses(each, before).reduce((all, one) => all + unlessEnded(() => of(one)), 0);
      if (memory !== last || memory === 0) [last, since] = [memory, performance.now()];
      return performance.now() - since >= STILL_MS && memory;
    });
  };
  if ((await firstAnswer(each.way('tenant'), look, calls)) === null)
    throw new Error(`${each.name}: borg gave no answer`);
  return found;
};

/** The memory of the program that waits for a hosted session. */
const clientsMemory = ({ pid, name }: Seen): number => (name === 'perl' ? privateMemory(pid, ['Dirty']) : 0);

/** MB that a process shares with no other (proc_pid_smaps(5)). */
const privateMemory = (pid: number, kinds: readonly ('Clean' | 'Dirty')[] = ['Clean', 'Dirty']): number => {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const kB = kinds.map((kind) => Number(new RegExp(`^Private_${kind}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]));
  return (kB.reduce((all, each) => all + each, 0) * 1024) / 1e6;
};

/** 0 for a process that has ended since it was seen. */
const unlessEnded = (memory: () => number): number => {
  try {
    return memory();
  } catch {
    return 0;
  }
};
