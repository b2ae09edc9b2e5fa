import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { askServer } from '../../src/control/client.ts';
import { listSnapshots, snapshotsOf } from '../../src/snapshots/store.ts';
import { type Client, createClient } from '../e2e/harness/client.ts';
import { until } from '../e2e/harness/machine.ts';
import { startNamespaceServer } from '../e2e/harness/namespace-server.ts';
import type { Server } from '../e2e/harness/server.ts';
import { makeAccounts } from './contenders.ts';
import { inTurn, median, type Row, timed } from './measure.ts';
import { QUIET } from './segments.ts';
import { daemonOf } from './session.ts';
import { writeLarge } from './throughput.ts';

/** So many turns, with so many backups one after the other. */
const [ROUNDS, BLOCK] = [8, 3];
const ACCOUNT = 'tenant';

type Measured = {
  readonly server: Server;
  readonly client: Client;
  /** Its folder for what runs, as seen from here. */
  readonly run: string;
};

/**
 * (i) Throughput of backups while a snapshot is taken, beside a server that takes none. The server takes it by itself only once in a minute, and
 * that could be in the other's turn. So it is asked for one in each turn, in the middle of a backup: much more often than it may be set. All is in
 * memory: what a disk needs for the same backup differs by more than what is looked for.
 */
export const benchSnapshotsOn = async (megabytes: number): Promise<Row[]> => {
  if (existsSync('/dev/shm')) process.env.TMPDIR = '/dev/shm';
  await using ends = new AsyncDisposableStack();
  const start = async (env: Record<string, string>): Promise<Measured> => {
    const server = await startNamespaceServer({ env });
    ends.defer(() => server.cleanup());
    const client = await createClient(server);
    ends.defer(() => client.cleanup());
    await makeAccounts({ server, client }, [ACCOUNT]);
    await client.borg(['init', '-e', 'none', client.url(ACCOUNT)], { env: QUIET });
    return { server, client, run: join(`/proc/${daemonOf(server)}/root`, 'run/borgserver') };
  };
  const on = await start({ SNAPSHOT_EVERY: 'never' });
  const off = await start({ SNAPSHOT_KEEP: 'no' });
  const source = on.client.home;
  for (const name of blocks()) await writeLarge(join(source, name), megabytes);
  let taken = 0;
  const took = await inTurn([on, off], ROUNDS, async (each) => {
    const found = await timed(() => backUpAll(each, source, each === on));
    taken += countOf(each);
    await clear(each);
    return found;
  });
  const rate = (each: Measured): number => ((BLOCK * megabytes) / median(took(each))) * 1000;
  const turns = took(on).map((each, round) => (took(off)[round] ?? Number.NaN) / each);
  if (taken < ROUNDS) throw new Error(`only ${taken} snapshots were taken`);
  return [
    {
      ...{ part: 'i', what: `borg create, ${megabytes} MB, snapshots on`, unit: 'MB/s', ours: rate(on) },
      ...{ beside: { what: 'SNAPSHOT_KEEP=no', figure: rate(off) }, goal: { of: 'ratio', limit: 0.98, least: true } },
      note: `${taken} snapshots in ${ROUNDS * BLOCK} backups; single turns: ${shown(Math.min(...turns))} to ${shown(Math.max(...turns))} ×`,
    },
  ];
};

const shown = (ratio: number): string => ratio.toFixed(2);

const blocks = (): string[] => Array.from({ length: BLOCK }, (_, index) => `source${index}`);

/** What the first one has written is kept while the second one goes on. */
const backUpAll = async ({ client, run }: Measured, source: string, isKept: boolean): Promise<void> => {
  let kept: Promise<unknown> = Promise.resolve();
  for (const [index, name] of blocks().entries()) {
    const words = ['create', '-C', 'none', '--files-cache=disabled', `${client.url(ACCOUNT)}::${name}`, name];
    const backup = client.borg(words, { env: QUIET, cwd: source });
    if (isKept && index === 1) kept = askServer(run, { command: 'keep', repository: ACCOUNT, when: 'now' });
    await backup;
  }
  await kept;
};

const countOf = ({ server }: Pick<Measured, 'server'>): number =>
  listSnapshots(snapshotsOf(join(server.repos, '.borgserver'), ACCOUNT) ?? '').length;

/** Makes it empty again, so that the next turn has no more to do. */
const clear = async (each: Measured): Promise<void> => {
  const { server, client } = each;
  const url = client.url(ACCOUNT);
  for (const name of blocks()) await client.borg(['delete', '--force', `${url}::${name}`], { env: QUIET });
  await client.borg(['compact', '--threshold', '0', url], { env: QUIET });
  if (countOf(each) > 0) await server.exec(['borgserver', 'snapshots', ACCOUNT, '--remove', 'all', '--yes']);
  await until('the snapshots to be gone', () => countOf(each) === 0);
};
