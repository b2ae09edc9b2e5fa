/**
 * npm run bench [-- FILE] [--only a,d] [--full] [--megabytes 256]: prints one table and writes it as JSON (dist/bench.json).
 * Needs root, borg and sshd. Every row stands beside what an operator would run instead, which is measured in the same run.
 * Ends with 1 where a goal is missed.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Client, createClient } from '../e2e/harness/client.ts';
import { PROJECT } from '../e2e/harness/machine.ts';
import { startNamespaceServer } from '../e2e/harness/namespace-server.ts';
import type { Server } from '../e2e/harness/server.ts';
import { withContenders } from './contenders.ts';
import { benchCrowd, benchRush } from './crowd.ts';
import { benchHotChanges } from './hot-changes.ts';
import { benchIdle } from './idle.ts';
import { benchImage } from './image-size.ts';
import { names, writeKeys } from './key-tree.ts';
import { benchAdmin, benchLogins } from './logins.ts';
import { type Judged, judge, type Row, renderTable } from './measure.ts';
import { benchPasses } from './passes.ts';
import { benchResting } from './resting.ts';
import { daemonOf } from './session.ts';
import { benchSessions } from './sessions.ts';
import { benchSnapshots } from './snapshots.ts';
import { benchSnapshotsOn } from './snapshots-on.ts';
import { benchThroughput } from './throughput.ts';
import { benchUnchanged } from './unchanged.ts';
import { benchUndo } from './undo.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', default: 'a,b,c,d,e,f,g,h,i,j' },
    full: { type: 'boolean', default: false },
    megabytes: { type: 'string' },
  },
});
const wanted = new Set(values.only.split(','));
const { full } = values;
const size = { megabytes: Number(values.megabytes ?? (full ? 1000 : 200)), files: full ? 20_000 : 2000 };

/** A server with `count` accounts that nobody uses, and two that the client may use: tenant, and chief, an admin. */
const withServer = async (
  count: number,
  use: (server: Server, client: Client, daemon: number) => Promise<Row[]>,
): Promise<Row[]> => {
  const server = await startNamespaceServer({
    prepare: ({ sshkeys }) => writeKeys(join(sshkeys, 'repos'), names(count)),
  });
  try {
    const client = await createClient(server);
    try {
      writeFileSync(join(server.sshkeys, 'repos/tenant'), `${client.key.public}\n`);
      writeFileSync(join(server.sshkeys, 'admins/chief'), `${client.key.public}\n`);
      await server.exec(['update-borgusers']);
      return await use(server, client, daemonOf(server));
    } finally {
      await client.cleanup();
    }
  } finally {
    await server.cleanup();
  }
};

const any = (...parts: readonly string[]): boolean => parts.some((part) => wanted.has(part));

const file = positionals[0] ?? join(PROJECT, 'dist/bench.json');
mkdirSync(dirname(file), { recursive: true });

const measure = async (): Promise<Judged[]> => {
  const rows: Judged[] = [];
  const add = (title: string, found: readonly Row[]): void => {
    console.error(`measured: ${title}`);
    rows.push(...found.map(judge));
    // A full run takes an hour. What it has found is kept even if the run does not finish.
    writeFileSync(file, `${JSON.stringify({ cores: availableParallelism(), rows }, null, 2)}\n`);
  };
  // First, since these need a disk, and what follows goes on in memory.
  if (any('i')) add('snapshots', await benchSnapshots(full));
  if (any('j')) add('undo', await benchUndo(full));
  if (any('i')) add('snapshots on', await benchSnapshotsOn(size.megabytes));
  if (any('i')) add('unchanged repositories', await benchUnchanged());
  if (any('a')) add('passes', await benchPasses(full));
  if (any('b', 'c', 'e', 'h')) {
    await withContenders(async (contenders) => {
      if (any('b')) add('logins', await benchLogins(contenders));
      if (any('h')) add('sessions', await benchSessions(contenders));
      if (any('h')) add('memory at rest', await benchResting(contenders));
      if (any('h')) add('a rush', await benchRush(contenders, full));
      if (any('c')) add('throughput', await benchThroughput(contenders, size));
      if (any('e')) add('crowds', await benchCrowd(contenders, full));
    });
  }
  for (const count of [1000, 10_000, ...(full ? [40_000] : [])]) {
    if (!any('b', 'd', 'f')) break;
    const found = await withServer(count, async (server, client, daemon) => [
      ...(any('f') && count <= 10_000 ? await benchIdle(server, daemon, count) : []),
      ...(any('d') && count <= 10_000 ? await benchHotChanges(client, server, daemon, count, full ? 100 : 15) : []),
      ...(any('b') && count >= 10_000 ? await benchAdmin(client, server, count) : []),
    ]);
    add(`${count} accounts`, found);
  }
  if (any('g')) add('the image', await benchImage());
  return rows;
};

const rows = await measure();
console.log(renderTable(rows.toSorted((a, b) => a.part.localeCompare(b.part))));
if (rows.some(({ met }) => met === false)) {
  console.log('\nA goal is missed.');
  process.exitCode = 1;
}
