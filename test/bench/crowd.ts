import type { Client } from '../e2e/harness/client.ts';
import { type Contenders, makeAccounts, type Own, TITLES } from './contenders.ts';
import { inTurn, median, type Row, timed } from './measure.ts';
import { firstAnswer, type Way } from './session.ts';

/** How many clients of a crowd are real borgs. The others speak ssh and borg's first message, and cost the server as much. */
const REAL_BORG = 50;
const ROUNDS = 5;
const NOTE = 'LoginGraceTime 120 s, which is sshd’s default, too';

/** (e) Clients of as many accounts that begin in the same instant: how many are served, beside sshd's defaults. */
export const benchCrowd = async ({ plain, own }: Contenders, full: boolean): Promise<Row[]> => {
  const sizes = [50, 200, ...(full ? [500] : [])];
  const accounts = crowdOf(Math.max(...sizes));
  const [ours] = own as [Own];
  const { client } = ours;
  await makeAccounts(ours, accounts);
  const real = full ? accounts.slice(0, REAL_BORG) : [];
  for (const account of real) await client.borg(['init', '-e', 'none', client.url(account)], NO_ENCRYPTION);

  const rows: Row[] = [];
  for (const size of sizes) {
    const borg = size === 500 ? real : [];
    const crowd = () =>
      served([
        ...borg.map((account) => () => lists(client, account)),
        ...accounts.slice(borg.length, size).map((account) => () => answers(ours.way(account))),
      ]);
    const plainCrowd = () => served(accounts.slice(0, size).map((account) => () => answers(plain.way(account))));
    const found = await inTurn([crowd, plainCrowd], ROUNDS, (begin) => begin());
    rows.push({
      ...{ part: 'e', what: `served of ${size} clients in one instant`, unit: '', ours: median(found(crowd)) },
      ...{ beside: { what: 'sshd’s defaults', figure: median(found(plainCrowd)) } },
      ...{ goal: { of: 'ours', limit: size, least: true } },
      note: `${borg.length > 0 ? `${borg.length} of them borg list; ` : ''}fewest ${Math.min(...found(crowd))}; ${NOTE}`,
    });
  }
  return rows;
};

/** (h) The same clients: until the last of them has borg's first answer, beside the cold start. */
export const benchRush = async ({ own }: Contenders, full: boolean): Promise<Row[]> => {
  const size = full ? 500 : 100;
  const accounts = crowdOf(size);
  for (const each of own) await makeAccounts(each, accounts);
  const unserved = new Map<Own, number>();
  const took = await inTurn(own, full ? ROUNDS : 3, (each) =>
    timed(async () => {
      const count = size - (await served(accounts.map((account) => () => answers(each.way(account)))));
      unserved.set(each, (unserved.get(each) ?? 0) + count);
    }),
  );
  const cold = own.find(({ name }) => name === 'cold');
  return own.flatMap((each): Row[] => [
    {
      ...{ part: 'h', what: `${size} clients in one instant, to the last answer, ${TITLES[each.name]}`, unit: 'ms' },
      ...{ ours: median(took(each)), note: 'the clients’ own work on the same cores is in it' },
      ...(each.name === 'hosted' &&
        cold && { beside: { what: TITLES.cold, figure: median(took(cold)) }, goal: { of: 'ratio', limit: 0.5 } }),
    },
    {
      ...{
        part: 'h',
        what: `${size} clients in one instant, not served in all rounds, ${TITLES[each.name]}`,
        unit: '',
      },
      ...{ ours: unserved.get(each) ?? 0, note: NOTE },
      // A client that waits for two minutes is not served, however it was to start: on two cores 500 cold starts take about as long.
      ...(each.name === 'hosted' && { goal: { of: 'ours', limit: 0 } }),
    },
  ]);
};

const NO_ENCRYPTION = { env: { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' } };

const crowdOf = (size: number): string[] => Array.from({ length: size }, (_, index) => `crowd${index}`);

const served = async (clients: readonly (() => Promise<boolean>)[]): Promise<number> =>
  (await Promise.all(clients.map((begin) => begin()))).filter(Boolean).length;

const lists = async (client: Client, account: string): Promise<boolean> =>
  (await client.borg(['list', client.url(account)], { ...NO_ENCRYPTION, reject: false })).exitCode === 0;

/** The client waits so long that it does not give up before the server does. */
const answers = async (way: Way): Promise<boolean> =>
  (await firstAnswer(['-o', 'ConnectTimeout=120', ...way])) !== null;
