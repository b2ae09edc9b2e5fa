import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '../e2e/harness/client.ts';
import type { Server } from '../e2e/harness/server.ts';
import { inTurn, median, type Row } from './measure.ts';
import type { PlainServer } from './plain-server.ts';
import { firstAnswer, type Way, wayTo, wayToPlain } from './session.ts';

/** How many of a crowd are borg itself; the others speak ssh and borg's first message, and are as hard on the server. */
const REAL_BORG = 50;
const ROUNDS = 5;
const NOTE = 'LoginGraceTime 120 s, which is sshd’s default, too';

/** (e) Clients of as many accounts that begin in the same instant: how many are served, beside sshd's defaults. */
export const benchCrowd = async (client: Client, server: Server, plain: PlainServer, full: boolean): Promise<Row[]> => {
  const sizes = [50, 200, ...(full ? [500] : [])];
  const accounts = Array.from({ length: Math.max(...sizes) }, (_, index) => `crowd${index}`);
  for (const account of accounts) writeFileSync(join(server.sshkeys, 'repos', account), `${client.key.public}\n`);
  await server.exec(['update-borgusers']);
  const real = full ? accounts.slice(0, REAL_BORG) : [];
  for (const account of real) await client.borg(['init', '-e', 'none', client.url(account)], NO_ENCRYPTION);

  const rows: Row[] = [];
  for (const size of sizes) {
    const borg = size === 500 ? real : [];
    const crowds = [
      () =>
        served([
          ...borg.map((account) => () => lists(client, account)),
          ...accounts.slice(borg.length, size).map((account) => () => answers(wayTo(client, server, account))),
        ]),
      () => served(accounts.slice(0, size).map(() => () => answers(wayToPlain(client, plain)))),
    ] as const;
    const [ours, theirs] = await inTurn(ROUNDS, (which) => crowds[which]());
    rows.push({
      ...{ part: 'e', what: `served of ${size} clients in one instant`, unit: '', ours: median(ours) },
      ...{ beside: { what: 'sshd’s defaults', figure: median(theirs) } },
      ...{ goal: { of: 'ours', limit: size, least: true } },
      note: `${borg.length > 0 ? `${borg.length} of them borg list; ` : ''}fewest ${Math.min(...ours)}; ${NOTE}`,
    });
  }
  return rows;
};

const NO_ENCRYPTION = { env: { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' } };

const served = async (clients: readonly (() => Promise<boolean>)[]): Promise<number> =>
  (await Promise.all(clients.map((begin) => begin()))).filter(Boolean).length;

const lists = async (client: Client, account: string): Promise<boolean> =>
  (await client.borg(['list', client.url(account)], { ...NO_ENCRYPTION, reject: false })).exitCode === 0;

/** The client's own patience must not be what ends first. */
const answers = async (way: Way): Promise<boolean> =>
  (await firstAnswer(['-o', 'ConnectTimeout=120', ...way])) !== null;
