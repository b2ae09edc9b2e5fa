import { randomBytes } from 'node:crypto';
import { chmod, cp, lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ListedSnapshot } from '../../src/cli/snapshots.ts';
import type { Client } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { anotherClient, client, ownServer, server } from './harness/own-server.ts';
import { updated } from './harness/updated.ts';

/** The files of a repository that snapshots share have this owner and mode. */
const KEPT = { uid: 0, mode: 0o100440 };
const letter = randomBytes(700_000);
let db: Client;
let admin: Client;

ownServer({}, async () => {
  db = await anotherClient();
  admin = await anotherClient();
  await grant(server, 'admins/ops', admin.key);
  await grant(server, 'repos/web01', client.key);
  await writeKeyFile(server, 'repos/db01', { ...db.key, public: `# borgserver: snapshots=no\n${db.key.public}` });
  await updated(server);
  await mkdir(join(client.home, 'documents'));
  await writeFile(join(client.home, 'documents/letter'), letter);
});

const listed = async (name = 'web01'): Promise<readonly ListedSnapshot[]> =>
  JSON.parse((await server.exec(['borgserver', 'snapshots', name, '--json'])).stdout);
const take = (name = 'web01') => server.exec(['borgserver', 'snapshots', name, '--take'], { reject: false });
const folderOf = (name: string, { number, at }: ListedSnapshot): string =>
  join(server.repos, `.borgserver/snapshots/${name}/${number}@${new Date(at).toISOString().replace('.000', '')}`);
const create = (archive: string) =>
  client.borg(['create', `${client.url('web01')}::${archive}`, 'documents'], { cwd: client.home });
const segments = async (): Promise<readonly string[]> =>
  (await readdir(join(server.repos, 'web01/data'), { recursive: true }))
    .filter((name) => /\/\d+$/.test(name))
    .map((name) => join(server.repos, 'web01/data', name));

/** What borg finds in a copy of a snapshot, after it has looked at every byte. */
const archivesOf = async (snapshot: ListedSnapshot): Promise<string> => {
  const copy = join(client.home, `copy-${snapshot.number}`);
  await cp(join(folderOf('web01', snapshot), 'repository'), copy, { recursive: true });
  const base = join(client.home, `base-${snapshot.number}`);
  const env = { BORG_BASE_DIR: base, BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
  await client.borg(['check', '--verify-data', copy], { env });
  const { stdout } = await client.borg(['list', '--short', copy], { env });
  for (const archive of stdout.split('\n').filter((each) => each.startsWith('a'))) {
    const into = join(client.home, `out-${snapshot.number}-${archive}`);
    await mkdir(into);
    await client.borg(['extract', `${copy}::${archive}`], { env, cwd: into });
    expect(await readFile(join(into, 'documents/letter'))).toEqual(letter);
  }
  return stdout;
};

test('after a session that has changed a repository its state is kept, and the client goes on', async () => {
  await client.borg(['init', '--encryption', 'repokey-blake2', client.url('web01')]);
  await create('a1');
  await until('the first snapshot', async () => (await listed()).length > 0);
  expect(await take()).toMatchObject({ exitCode: 0, stdout: 'web01: its present state is kept\n' });
  const [newest] = await listed();
  expect(newest).toMatchObject({ repository: 'web01', protected: true });
  for (const path of await segments()) expect(await lstat(path)).toMatchObject(KEPT);
  expect(await archivesOf(newest as ListedSnapshot)).toBe('a1\n');
  await create('b1');
  await client.borg(['delete', `${client.url('web01')}::b1`]);
  await client.borg(['compact', client.url('web01')]);
  await client.borg(['check', client.url('web01')]);
});

test('what has not changed has no further snapshot', async () => {
  await take();
  const before = await listed();
  await take();
  await client.borg(['list', client.url('web01')]);
  await take();
  expect(await listed()).toEqual(before);
});

test('a thief with the full key deletes everything, and every byte is still there', async () => {
  const [before] = await listed();
  await client.borg(['delete', `${client.url('web01')}::a1`]);
  await client.borg(['compact', '--threshold', '0', client.url('web01')]);
  expect((await client.borg(['list', '--short', client.url('web01')])).stdout).toBe('');
  expect(await archivesOf(before as ListedSnapshot)).toBe('a1\n');
});

test('what is about to be done on the server itself is kept before and after it, and status tells what that holds', async () => {
  await create('a2');
  const before = await listed();
  const { stderr } = await server.exec(['borgserver', 'borg', 'delete', 'web01::a2'], {
    env: { BORG_PASSPHRASE: 'borgserver' },
  });
  expect(stderr).not.toContain('snapshot');
  const [newest, kept] = await listed();
  expect([newest?.number, kept?.number]).toEqual([2, 1].map((each) => (before[0]?.number ?? 0) + each));
  expect(await archivesOf(kept as ListedSnapshot)).toBe('a2\n');
  expect(await archivesOf(newest as ListedSnapshot)).toBe('');
  expect(newest?.olderHold).toBeGreaterThan(letter.length);
  const { stdout } = await server.exec(['borgserver', 'status'], { reject: false });
  expect(stdout).toMatch(/^snapshots: \d+ of 1 repository; the older ones hold \d/m);
});

test('what an admin’s session is about to change is kept before, though the last snapshot is younger than SNAPSHOT_EVERY', async () => {
  await create('a4');
  const [before] = await listed();
  await admin.borg(['delete', `${admin.url('ops', 'web01')}::a4`]);
  const [newest] = await listed();
  expect(newest?.number).toBe((before?.number ?? 0) + 1);
  expect(await archivesOf(newest as ListedSnapshot)).toBe('a4\n');
});

test('a repair of owners and modes leaves what snapshots share out of reach', async () => {
  const [path = ''] = await segments();
  await chmod(join(server.repos, 'web01'), 0o700);
  await updated(server);
  expect(await lstat(path)).toMatchObject(KEPT);
  await chmod(join(server.repos, 'web01/config'), 0o600);
  await server.exec(['borgserver', 'doctor', '--fix'], { reject: false });
  expect((await lstat(join(server.repos, 'web01/config'))).mode & 0o777).toBe(0o660);
  expect(await lstat(path)).toMatchObject(KEPT);
  const { stdout } = await server.exec(['borgserver', 'doctor'], { reject: false });
  expect(stdout).toMatch(/^ok +owners/m);
});

test('snapshots are in reach of no client', async () => {
  const [newest] = await listed();
  const path = folderOf('web01', newest as ListedSnapshot).replace(server.repos, '/repos');
  for (const each of [client, admin]) {
    const account = each === client ? 'web01' : 'ops';
    const url = client.url(account).replace(`/repos/${account}`, `${path}/repository`);
    const { exitCode, stderr } = await each.borg(['list', url], { reject: false });
    expect({ account, failed: exitCode !== 0 }).toEqual({ account, failed: true });
    expect(stderr).not.toContain('does not exist');
  }
  expect((await lstat(join(server.repos, '.borgserver/snapshots'))).mode & 0o777).toBe(0o700);
});

test('a key file that says no has no snapshots', async () => {
  await db.borg(['init', '--encryption', 'none', db.url('db01')]);
  const asked = await take('db01');
  expect(asked).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('it has no snapshots') });
  expect(await listed('db01')).toEqual([]);
  for (const name of await readdir(join(server.repos, 'db01/data/0')))
    expect((await lstat(join(server.repos, 'db01/data/0', name))).uid).toBeGreaterThan(0);
});

test('the operator removes some, is shown first what goes, and the room is free', async () => {
  const remove = (...words: string[]) =>
    server.exec(['borgserver', 'snapshots', 'web01', '--remove', ...words], { reject: false });
  const before = await listed();
  expect(before.length).toBeGreaterThan(1);
  expect(await remove('older')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('add --yes') });
  expect(await listed()).toEqual(before);
  expect(await remove('99', '--yes')).toMatchObject({ exitCode: 2 });
  expect(await remove('older', '--yes')).toMatchObject({ exitCode: 0 });
  const [newest, ...older] = await listed();
  expect(older).toEqual([]);
  expect(newest).toMatchObject({ number: before[0]?.number, olderHold: 0 });
});

test('a repository that its own key destroys, or whose folder goes, is still there as a snapshot, also after a restart', async () => {
  await create('a3');
  await take();
  const [newest] = await listed();
  const yes = { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' };
  await client.borg(['delete', client.url('web01')], { env: yes });
  await rm(join(server.repos, 'web01'), { recursive: true });
  await server.start();
  expect((await listed())[0]).toEqual(newest);
  expect(await archivesOf(newest as ListedSnapshot)).toBe('a3\n');
});
