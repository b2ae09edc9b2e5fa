import { setTimeout } from 'node:timers/promises';
import { type Contender, type Contenders, PLAIN, TITLES } from './contenders.ts';
import { inTurn, median, type Row } from './measure.ts';
import { atRest, cpuOfAll, hostAmong, processesOf } from './process-tree.ts';
import { firstAnswer } from './session.ts';

/** The median is taken of so many rounds. */
const ROUNDS = 25;
/** CPU is counted in hundredths of a second. With many sessions together, it does not matter what is cut off. */
const BLOCKS = 5;
const BLOCK = 10;
const SESSIONS = BLOCKS * BLOCK;
/** The daemon needs no longer than this for what it does after a connection has ended. */
const CLEARING_MS = 1500;

/** (h) The time and CPU of a session without its login, and with it, beside the plain server. */
export const benchSessions = async ({ plain, own }: Contenders): Promise<Row[]> => {
  const all = [plain, ...own];
  // Each runs once before. What is read for the first time does not belong to the session.
  for (const each of all) {
    await each.command(1);
    await firstAnswer(each.way('tenant'));
  }
  const answers = await inTurn(all, ROUNDS, async ({ command }) => (await command(1)).answers[0] ?? Number.NaN);
  const behind = await cpuBehindLogin(all);
  const whole = await cpuWithLogin(all);
  const rows = (what: string, of: (each: Contender) => number, limit: number, note?: (each: Contender) => string) =>
    own.map(
      (each): Row => ({
        ...{ part: 'h', what: `${what}, ${TITLES[each.name]}`, unit: 'ms', ours: of(each) },
        ...{ beside: { what: PLAIN, figure: of(plain) }, ...(note && { note: note(each) }) },
        ...(each.name === 'hosted' && { goal: { of: 'ratio', limit } }),
      }),
    );
  const daemon = (each: Contender): string => `${whole(each).daemon.toFixed(1)} ms of it the daemon’s`;
  return [
    ...rows('forced command to borg’s first answer', (each) => median(answers(each)), 0.06),
    ...rows('CPU of a session behind its login', behind, 0.05),
    ...rows('all CPU of the server, ssh to the first answer', (each) => whole(each).all, 0.2, daemon),
  ];
};

/** CPU of the command and what it waits for, and of the host: of the sessions that it forks, and its own. */
const cpuBehindLogin = async (all: readonly Contender[]): Promise<(each: Contender) => number> => {
  const hostsCpu = (each: Contender): number => hostAmong(processesOf(each))?.cpu ?? 0;
  const before = new Map(all.map((each) => [each, hostsCpu(each)]));
  const commands = await inTurn(all, BLOCKS, async ({ command }) => (await command(BLOCK)).cpu);
  for (const each of all) await atRest(each);
  const hosts = new Map(all.map((each) => [each, hostsCpu(each) - (before.get(each) ?? 0)]));
  return (each) => (sum(commands(each)) + (hosts.get(each) ?? 0)) / SESSIONS;
};

/** All CPU that the server has used meanwhile. The clients' own CPU is not in it. */
const cpuWithLogin = async (
  all: readonly Contender[],
): Promise<(each: Contender) => { readonly all: number; readonly daemon: number }> => {
  const daemons = new Map(all.map((each) => [each, 0]));
  const found = await inTurn(all, BLOCKS, async (each) => {
    const before = await atRest(each);
    for (let session = 0; session < BLOCK; session += 1) {
      if ((await firstAnswer(each.way('tenant'))) === null) throw new Error(`${each.name}: borg gave no answer`);
    }
    await setTimeout(CLEARING_MS);
    const after = await atRest(each);
    const ofDaemon = (look: typeof before): number =>
      look.find(({ pid }) => each.name !== 'plain' && pid === each.daemon)?.cpu ?? 0;
    daemons.set(each, (daemons.get(each) ?? 0) + ofDaemon(after) - ofDaemon(before));
    return cpuOfAll(after) - cpuOfAll(before);
  });
  return (each) => ({ all: sum(found(each)) / SESSIONS, daemon: (daemons.get(each) ?? 0) / SESSIONS });
};

const sum = (figures: readonly number[]): number => figures.reduce((all, each) => all + each, 0);
