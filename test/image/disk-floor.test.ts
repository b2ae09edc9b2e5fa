import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { mountSmall, unmount } from '../e2e/harness/small-disk.ts';
import { type Call, converse, launch } from './launched-session.ts';

// What a client that is not borg can do below the floor. The session does not run as root, since some space of a disk is root's alone.

const NOBODY = 65_534;
const MEGABYTE = 1_000_000;
const MANIFEST = Buffer.alloc(32);
const EXCLUSIVE = { exclusive: true };
const COMMIT: Call = ['commit', { save_space: false, compact: false, threshold: 0 }];
const put = (id: string | Uint8Array, bytes: number): Call => [
  'put',
  { id: typeof id === 'string' ? Buffer.from(id.padEnd(32, '.')) : id, data: Buffer.alloc(bytes, 'x') },
];

let folder: string;
let disk: string;
let running: ReturnType<typeof launch>[];

const session = (name: string, minFree: number | 'auto', ...more: readonly string[]) => {
  const before = ['--account', 'nobody', '--sessions', '50', '--memory', 'auto', '--min-free', String(minFree)];
  const launcher = join(folder, 'borg-serve');
  const repository = join(disk, name);
  const borg = launch({ ...{ launcher, repos: disk, repository, before, more }, account: 'nobody', uid: NOBODY });
  running.push(borg);
  return converse(borg);
};
type Session = Awaited<ReturnType<typeof session>>;

const opened = async (name: string, minFree: number | 'auto', ...more: readonly string[]): Promise<Session> => {
  const client = await session(name, minFree, ...more);
  await client.call(...open(join(disk, name), EXCLUSIVE));
  return client;
};

/** A repository with one object and a manifest of these bytes. */
const create = async (name: string, manifest = 1000): Promise<void> => {
  mkdirSync(join(disk, name));
  chownSync(join(disk, name), NOBODY, NOBODY);
  const client = await session(name, 'auto');
  await client.call(...open(join(disk, name), { create: true, ...EXCLUSIVE }));
  await client.callAll([put('first', 1000), put(MANIFEST, manifest), COMMIT]);
  await client.end();
};

const free = (): number => {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
};
const segments = (name: string): readonly string[] =>
  readdirSync(join(disk, name, 'data/0')).sort((a, b) => Number(a) - Number(b));
const bytesOf = (name: string): number =>
  segments(name).reduce((sum, each) => sum + statSync(join(disk, name, 'data/0', each)).size, 0);
const text = (id: string): Call => ['get', { id: Buffer.from(id.padEnd(32, '.')) }];
const REFUSED = /the server has less than .* left and takes no new data; deleting and compacting work/;

beforeEach(async () => {
  running = [];
  folder = mkdtempSync(join(tmpdir(), 'disk-floor-'));
  chmodSync(folder, 0o755);
  disk = join(folder, 'repos');
  mkdirSync(disk);
  mountSmall(disk, 100_000);
  await installLauncher(folder, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
});

afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  unmount(disk);
  rmSync(folder, { recursive: true });
});

test('a transaction that meets the floor is removed at once, and nothing is taken until the client begins a new one', async () => {
  await create('web01');
  const before = segments('web01');
  const client = await opened('web01', free() - 10 * MEGABYTE);
  expect(await client.callAll([put('second', 4 * MEGABYTE), put('third', 4 * MEGABYTE)])).not.toMatch(REFUSED);
  expect(await client.call(...put('fourth', 4 * MEGABYTE))).toMatch(REFUSED);
  expect(segments('web01')).toEqual(before);
  for (const call of [put('fifth', 10), COMMIT]) expect(await client.call(...call)).toMatch(REFUSED);
  expect(segments('web01')).toEqual(before);
  expect(await client.callAll([put('sixth', 1000), COMMIT])).not.toMatch(REFUSED);
  expect(await client.call(...text('second'))).toContain('ObjectNotFound');
  for (const kept of ['first', 'sixth']) expect(await client.call(...text(kept))).not.toContain('exception');
  await client.end();
});

test('below the floor only a few small manifests are taken, each in the place of another, and nothing else', async () => {
  await create('web01', 200_000);
  const client = await opened('web01', Math.round(free() * 1.2));
  expect(await client.call(...put('second', 10))).toMatch(REFUSED);
  await client.call('rollback');
  const before = bytesOf('web01');
  for (let times = 0; times < 5; times += 1)
    expect(await client.callAll([put(MANIFEST, 190_000), COMMIT])).not.toContain('exception');
  expect(bytesOf('web01')).toBeLessThan(before + 10_000);
  expect(await client.call(...put(MANIFEST, 500_000))).toMatch(REFUSED);
  await client.call('rollback');
  expect(await client.callAll([1, 2, 3].map(() => put(MANIFEST, 190_000)))).toMatch(REFUSED);
  expect(bytesOf('web01')).toBeLessThan(before + 10_000);
  await client.end();
  // The space that is kept for manifests comes to an end, too.
  const other = await opened('web01', free() * 3);
  expect(await other.call(...put(MANIFEST, 1000))).toMatch(/takes no new data; its operator has to make room/);
  await other.call('rollback');
  expect(await other.callAll([['delete', { id: Buffer.from('first'.padEnd(32, '.')) }]])).not.toContain('exception');
  await other.end();
});

test('an append-only session takes no manifest, since it makes no room; a backup that meets the floor at its very end ends well', async () => {
  await create('web01');
  const client = await opened('web01', Math.round(free() * 1.2), '--append-only');
  expect(await client.call(...put(MANIFEST, 1000))).toMatch(/takes no new data; its operator has to make room/);
  await client.end();
  const other = await opened('web01', free() - 2 * MEGABYTE, '--append-only');
  expect(await other.call(...put('second', 1_900_000))).not.toContain('exception');
  expect(await other.callAll([put(MANIFEST, 150_000)])).toMatch(/its operator has to make room/);
  await other.call('rollback');
  expect(
    await other.callAll([put('second', 1_900_000), put('third', 60_000), put(MANIFEST, 60_000), COMMIT]),
  ).not.toContain('exception');
  await other.end();
});

test('sessions that write at the same time leave the floor to those that make room', async () => {
  const names = ['web01', 'web02', 'web03', 'web04'];
  for (const name of names) await create(name);
  const floor = free() - 20 * MEGABYTE;
  const clients = await Promise.all(names.map((name) => opened(name, floor)));
  let least = free();
  const writing = async (client: Session): Promise<string> => {
    for (let number = 0; number < 100; number += 1) {
      const answer = await client.call(...put(`object-${number}`, MEGABYTE));
      least = Math.min(least, free());
      if (REFUSED.test(answer)) return answer;
    }
    return 'it was never refused';
  };
  const answers = await Promise.all(clients.map(writing));
  for (const answer of answers) expect(answer).toMatch(REFUSED);
  // One object of each may be on its way.
  expect(least).toBeGreaterThan(floor - (names.length + 1) * MEGABYTE);
  await Promise.all(clients.map((client) => client.end()));
});

test('if the disk gets full all the same, what did not fit is cleared, too', async () => {
  await create('web01');
  const before = segments('web01');
  const client = await opened('web01', 1);
  expect(await client.call(...put('second', 500_000))).not.toContain('exception');
  writeFileSync(join(disk, 'filler'), Buffer.alloc(free()));
  expect(await client.call(...put('third', 400_000))).toContain(
    'the disk of the server is full; what did not fit was cleared',
  );
  expect(segments('web01')).toEqual(before);
  await client.end();
});

test('what could not be cleared with the refusal is cleared when the session gives its lock back', async () => {
  await create('web01');
  const before = segments('web01');
  const client = await opened('web01', 'auto', '--storage-quota=10M');
  await client.call(...put('second', 6 * MEGABYTE));
  chmodSync(join(disk, 'web01/data/0'), 0o555);
  expect(await client.call(...put('third', 6 * MEGABYTE))).toContain('StorageQuotaExceeded');
  await client.call('rollback');
  expect(segments('web01')).not.toEqual(before);
  chmodSync(join(disk, 'web01/data/0'), 0o770);
  await client.end();
  expect(segments('web01')).toEqual(before);
});

test('without its lock a session clears nothing: the data may be another session’s', async () => {
  await create('web01');
  const client = await opened('web01', free() - 2 * MEGABYTE);
  await client.call(...put('second', MEGABYTE));
  const written = segments('web01');
  rmSync(join(disk, 'web01/lock.exclusive'), { recursive: true });
  expect(await client.call(...put('third', 3 * MEGABYTE))).toMatch(
    /the lock of this session was broken|takes no new data/,
  );
  expect(segments('web01')).toEqual(written);
  await client.end();
  expect(segments('web01')).toEqual(written);
});

test('on a small disk deletions are still committed and compacted if ten or more segments have something to free', async () => {
  await create('web01');
  const client = await opened('web01', 'auto');
  for (let number = 0; number < 12; number += 1)
    expect(await client.callAll([put(`object-${number}`, 100_000), COMMIT])).not.toContain('exception');
  const before = bytesOf('web01');
  const gone = Buffer.from('object-0'.padEnd(32, '.'));
  expect(await client.callAll([['delete', { id: gone }], COMMIT])).not.toContain('exception');
  const compact: Call = ['commit', { save_space: false, compact: true, threshold: 0.1 }];
  expect(await client.callAll([put(MANIFEST, 1000), compact])).not.toContain('exception');
  expect(bytesOf('web01')).toBeLessThan(before - 90_000);
  await client.end();
});

test('no repository is made below the floor', async () => {
  mkdirSync(join(disk, 'web01'));
  chownSync(join(disk, 'web01'), NOBODY, NOBODY);
  const client = await session('web01', Math.round(free() * 1.2));
  expect(await client.call(...open(join(disk, 'web01'), { create: true, ...EXCLUSIVE }))).toMatch(REFUSED);
  expect(readdirSync(join(disk, 'web01'))).toEqual([]);
  await client.end();
});
