import { lstatSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { findBorg } from '../../src/borg/interpreter.ts';
import type { Source } from '../../src/snapshots/program.ts';
import { folderForUndo, preparePutBack, removeTree } from '../../src/snapshots/put-back.ts';
import { listSnapshots, type Snapshot, snapshotsOf } from '../../src/snapshots/store.ts';
import { type Client, createClient } from '../e2e/harness/client.ts';
import { PROJECT } from '../e2e/harness/machine.ts';
import { startNamespaceServer } from '../e2e/harness/namespace-server.ts';
import type { Server } from '../e2e/harness/server.ts';
import { makeAccounts } from './contenders.ts';
import { median, type Row, timed } from './measure.ts';
import { heldDuring, makePattern, QUIET, sizes } from './segments.ts';

const ROUNDS = 5;
const ADMINS = 1000;
const BY_HAND = 'by hand';

/** (j) A repository is put back after a client has deleted everything, beside the commands of docs/snapshots.md for doing it by hand. */
export const benchUndo = async (full: boolean): Promise<Row[]> => {
  // What is shipped with the program is looked for beside it.
  process.argv[1] = join(PROJECT, 'src/main.ts');
  const server = await startNamespaceServer({});
  try {
    const client = await createClient(server);
    try {
      const rows: Row[] = [];
      for (const size of sizes(full)) rows.push(...(await benchAt(server, client, size)));
      return rows;
    } finally {
      await client.cleanup();
    }
  } finally {
    await server.cleanup();
  }
};

const benchAt = async (server: Server, client: Client, size: number): Promise<Row[]> => {
  const { source, whole, destroyed } = await destroyedRepository(server, client, size);
  const path = join(source.repos, source.path);
  const undo = (to: Snapshot) =>
    server.exec(['borgserver', 'undo', source.path, '--to', String(to.number), '--no-check', '--yes']);
  const [prepared, held, took, byHand]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    prepared.push(await prepare(source, whole));
    held.push(await heldDuring(path, async () => void took.push(await timed(() => undo(whole)))));
    await undo(destroyed);
    byHand.push(await putBackByHand(source, whole));
  }
  const row = (title: string, found: readonly number[], beside: Row['beside'] | undefined, note = ''): Row => ({
    ...{ part: 'j', what: `undo to ${size} segments, ${title}`, unit: 'ms', ours: median(found) },
    ...{ ...(beside && { beside }), note: `at most ${Math.round(Math.max(...found))} ms${note}` },
  });
  const beside = { what: BY_HAND, figure: median(byHand) };
  return [
    row('nobody can write', held, beside, '; borg’s lock is held. By hand the repository is away'),
    row('the new tree is made', prepared, undefined, '; everybody goes on meanwhile'),
    row(
      'the whole command, --no-check',
      took,
      beside,
      '; by hand without stopping sessions, and without a snapshot of the present state',
    ),
  ];
};

type Destroyed = { readonly source: Source; readonly whole: Snapshot; readonly destroyed: Snapshot };

/** A repository of which a client has deleted and compacted everything, and the snapshots from before and after that. */
const destroyedRepository = async (server: Server, client: Client, size: number): Promise<Destroyed> => {
  const account = `segments${size}`;
  await makeAccounts({ server, client }, [account]);
  const path = join(server.repos, account);
  const { uid, gid } = lstatSync(path);
  const pattern = await makePattern(size);
  try {
    rmdirSync(path);
    await pattern.copyTo(path, uid, gid);
  } finally {
    pattern.remove();
  }
  const take = async (): Promise<Snapshot> => {
    await server.exec(['borgserver', 'snapshots', account, '--take']);
    const newest = listSnapshots(snapshotsOf(stateOf(server.repos), account) ?? '').at(-1);
    if (!newest) throw new Error('there is no snapshot');
    return newest;
  };
  const whole = await take();
  const url = client.url(account);
  await client.borg(['delete', `${url}::all`], { env: QUIET });
  await client.borg(['compact', '--threshold', '0', url], { env: QUIET });
  return { source: { repos: server.repos, path: account, uid, gid, admins: ADMINS }, whole, destroyed: await take() };
};

const stateOf = (repos: string): string => join(repos, '.borgserver');

const prepare = async (source: Source, snapshot: Snapshot): Promise<number> => {
  const { python } = findBorg();
  const above = folderForUndo(stateOf(source.repos), source.path);
  const took = await timed(async () => {
    const told = await preparePutBack({ python }, snapshot, above, source);
    if ('code' in told) throw new Error(told.why);
  });
  if (!(await removeTree({ python }, above, 'unused'))) throw new Error('the tree is still there');
  return took;
};

/** On the same disk, and where no account is. Everything is read once before, so the copy is as fast as it can be. */
const putBackByHand = async ({ repos, uid, gid }: Source, snapshot: Snapshot): Promise<number> => {
  const folder = join(dirname(repos), 'by-hand');
  mkdirSync(join(folder, 'web01'), { recursive: true });
  const took = await timed(() =>
    execa('sh', ['-euc', COMMANDS, 'sh', join(snapshot.path, 'repository'), `${uid}:${gid}`], { cwd: folder }),
  );
  rmSync(folder, { recursive: true });
  // What it has left to the disk must not slow down what is measured next.
  await execa('sync', ['-f', repos]);
  return took;
};

const COMMANDS = `
  mv -T web01 web01-former
  cp -r "$1" web01
  chown -R "$2" web01
  chmod -R u=rwX,g=rwX,o= web01 && find web01 -type d -exec chmod g+s {} +
  printf 0001000000000000 > web01/nonce
`;
