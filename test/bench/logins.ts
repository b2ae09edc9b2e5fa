import type { Client } from '../e2e/harness/client.ts';
import type { Server } from '../e2e/harness/server.ts';
import { type Contenders, type Own, PLAIN, TITLES } from './contenders.ts';
import { inTurn, median, type Row } from './measure.ts';
import { firstAnswer, memoryOf, processes, SERVE, type Way, wayTo } from './session.ts';

const ROUNDS = 20;

/** (b) From ssh to borg's first answer, and the most memory that a session with its own borg needs, beside the plain server; in turn. */
export const benchLogins = async ({ plain, own }: Contenders): Promise<Row[]> => {
  const all = [plain, ...own];
  const answers = await inTurn(all, ROUNDS, ({ way }) => answerOf(way('tenant')));
  // What the kernel counts as the memory of a hosted session is mostly the session host's. Part h counts the session's own.
  const alone = all.filter(({ name }) => name !== 'hosted');
  const memories = await inTurn(alone, 5, ({ way }) => peakMemory(way('tenant')));
  const row = (each: Own, what: string, unit: 'ms' | 'MB', found: typeof answers, limit: number): Row => ({
    ...{ part: 'b', what: `${what}, ${TITLES[each.name]}`, unit, ours: median(found(each)) },
    ...{ beside: { what: PLAIN, figure: median(found(plain)) }, goal: { of: 'ratio', limit } },
  });
  return own.flatMap((each) => [
    row(each, 'ssh to borg’s first answer', 'ms', answers, 0.65),
    ...(alone.includes(each) ? [row(each, 'peak memory of a session', 'MB', memories, 0.5)] : []),
  ]);
};

/** (b) An admin, who is in every private group, beside a tenant, on a server with many accounts. */
export const benchAdmin = async (client: Client, server: Server, count: number): Promise<Row[]> => {
  const found = await inTurn(['chief', 'tenant'], ROUNDS, (account) => answerOf(wayTo(client, server, account)));
  return [
    {
      ...{ part: 'b', what: `an admin’s login at ${count}`, unit: 'ms', ours: median(found('chief')) },
      ...{
        beside: { what: 'a tenant’s', figure: median(found('tenant')) },
        ...(count === 10_000 && { goal: { of: 'ratio', limit: 2 } }),
      },
    },
  ];
};

const answerOf = async (way: Way): Promise<number> => (await firstAnswer(way)) ?? Number.NaN;

const peakMemory = async (way: Way): Promise<number> => {
  const before = processes(SERVE);
  let found = Number.NaN;
  await firstAnswer(way, () => {
    const [pid] = processes(SERVE).filter((each) => !before.includes(each));
    if (pid) found = memoryOf(pid, 'VmHWM');
  });
  return found;
};
