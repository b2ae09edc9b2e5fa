import type { Client } from '../e2e/harness/client.ts';
import type { Server } from '../e2e/harness/server.ts';
import { inTurn, median, type Row } from './measure.ts';
import type { PlainServer } from './plain-server.ts';
import { firstAnswer, memoryOf, processes, SERVE, type Way, wayTo, wayToPlain } from './session.ts';

const ROUNDS = 20;

/** (b) From ssh to borg's first answer, and what a session needs, beside the plain server; both in turn. */
export const benchLogins = async (client: Client, server: Server, plain: PlainServer): Promise<Row[]> => {
  const [ours, theirs] = await measureBoth(wayTo(client, server, 'tenant'), wayToPlain(client, plain));
  const memory = async (way: Way): Promise<number> => {
    const before = processes(SERVE);
    let found = Number.NaN;
    await firstAnswer(way, () => {
      const [pid] = processes(SERVE).filter((each) => !before.includes(each));
      if (pid) found = memoryOf(pid, 'VmHWM');
    });
    return found;
  };
  const memories = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < 5; round += 1) {
    memories.ours.push(await memory(wayTo(client, server, 'tenant')));
    memories.theirs.push(await memory(wayToPlain(client, plain)));
  }
  return [
    {
      ...{ part: 'b', what: 'ssh to borg’s first answer', unit: 'ms', ours },
      ...{ beside: { what: 'plain borg serve', figure: theirs }, goal: { of: 'ratio', limit: 0.65 } },
    },
    {
      ...{ part: 'b', what: 'peak memory of a session', unit: 'MB', ours: median(memories.ours) },
      ...{ beside: { what: 'plain borg serve', figure: median(memories.theirs) }, goal: { of: 'ratio', limit: 0.5 } },
    },
  ];
};

/** (b) An admin, who is in every private group, beside a tenant, on a server with many accounts. */
export const benchAdmin = async (client: Client, server: Server, count: number): Promise<Row[]> => {
  const [admin, tenant] = await measureBoth(wayTo(client, server, 'chief'), wayTo(client, server, 'tenant'));
  return [
    {
      ...{ part: 'b', what: `an admin’s login at ${count}`, unit: 'ms', ours: admin },
      ...{
        beside: { what: 'a tenant’s', figure: tenant },
        ...(count === 10_000 && { goal: { of: 'ratio', limit: 2 } }),
      },
    },
  ];
};

const measureBoth = async (...ways: [Way, Way]): Promise<[number, number]> => {
  const [one, other] = await inTurn(ROUNDS, async (which) => (await firstAnswer(ways[which])) ?? Number.NaN);
  return [median(one), median(other)];
};
