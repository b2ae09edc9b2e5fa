import { createHash, randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { ListedSnapshot } from '../../src/cli/snapshots.ts';
import { timeText } from '../../src/text/duration.ts';
import type { Client } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { anotherClient, client, ownServer, server } from './harness/own-server.ts';
import { contents } from './harness/repository-files.ts';
import { updated } from './harness/updated.ts';

const env = { BORG_PASSPHRASE: 'borgserver' };
/** What each archive has: a2 and a3 another letter than the one before. */
const letters: Record<string, Buffer> = {
  a1: randomBytes(700_000),
  a2: randomBytes(700_000),
  a3: randomBytes(700_000),
};
let fleet: Client;
/** web01 with a1, with a1 and a2, and with a3 alone. */
let [first, second, third] = [] as ListedSnapshot[] as [ListedSnapshot, ListedSnapshot, ListedSnapshot];

ownServer({}, async () => {
  fleet = await anotherClient();
  await grant(server, 'repos/web01', client.key);
  await writeKeyFile(server, 'repos/fleet', {
    ...fleet.key,
    public: `# borgserver: sub-repositories=yes\n${fleet.key.public}`,
  });
  await updated(server);
  await client.borg(['init', '--encryption', 'repokey-blake2', client.url('web01')]);
  first = await backedUp('a1');
  second = await backedUp('a2');
  // The server's own borg knows a state that is newer than the first two snapshots.
  await client.borg(['delete', client.url('web01'), 'a1', 'a2']);
  await client.borg(['compact', '--threshold', '0', client.url('web01')]);
  third = await backedUp('a3');
  expect(await borg('list', '--short', 'web01')).toMatchObject({ exitCode: 0, stdout: 'a3\n' });
});

const state = (path: string) => join(server.repos, '.borgserver', path);
const borg = (...words: string[]) => server.exec(['borg', ...words], { env, reject: false });
const take = async (name: string): Promise<ListedSnapshot> => {
  await server.exec(['borgserver', 'snapshots', name, '--take']);
  return JSON.parse((await server.exec(['borgserver', 'snapshots', name, '--json'])).stdout)[0];
};

/** A snapshot's time is in seconds: none of the next ones has the same. */
const backedUp = async (archive: string, of = client, name = 'web01'): Promise<ListedSnapshot> => {
  await mkdir(join(of.home, 'documents'), { recursive: true });
  await writeFile(join(of.home, 'documents/letter'), letters[archive] ?? '');
  await of.borg(['create', `${of.url(name.split('/')[0] ?? '', name)}::${archive}`, 'documents'], { cwd: of.home });
  const taken = await take(name);
  await until('the next second', async () => Date.now() >= taken.at + 1000);
  return taken;
};

const digest = (bytes: Buffer | undefined): string =>
  createHash('sha256')
    .update(bytes ?? '')
    .digest('hex');
/** The digest of the letter in an archive of `repository`. */
const extracted = async (repository: string, archive: string): Promise<string> => {
  const words = `borg extract --stdout '${repository}::${archive}' documents/letter | sha256sum`;
  return (await server.exec(['sh', '-c', words], { env })).stdout.split(' ')[0] ?? '';
};

const folderOf = (name: string, { number, at }: ListedSnapshot): string =>
  state(`snapshots/${name}/${number}@${timeText(at)}`);
/** Every file of a snapshot: what is in it, and which one it is, whose, and by how many names. */
const filesOf = async (folder: string) => {
  const all = [...(await contents(folder))].toSorted();
  return Promise.all(
    all.map(async ([path, bytes]) => {
      const { ino, mode, uid, gid, nlink } = await lstat(join(folder, path));
      return { path, bytes, ino, mode, uid, gid, nlink };
    }),
  );
};
const rememberedOf = async (name: string) =>
  contents(state(`borg/${(await lstat(join(server.repos, name))).uid}/.config/borg/security`));

beforeEach(async () => {
  expect(await readdir(state('reading')).catch(() => [])).toEqual([]);
});

test('a snapshot is listed and extracted by its number and by a time, with every byte of then', async () => {
  expect(await borg('list', '--short', `web01@${first.number}`)).toMatchObject({
    ...{ exitCode: 0, stdout: 'a1\n' },
    stderr: expect.stringMatching(/^borgserver: snapshot \d+ of web01: [\dT:Z-]+, \d+ (s|min) ago\n$/),
  });
  for (const which of [`web01@${timeText(second.at)}`, `/repos/web01@${second.number}`]) {
    expect((await borg('list', '--short', which)).stdout).toBe('a1\na2\n');
    expect(await extracted(which, 'a1')).toBe(digest(letters.a1));
    expect(await extracted(which, 'a2')).toBe(digest(letters.a2));
  }
  expect((await borg('list', '--short', `web01@${timeText(second.at).replace('Z', '+00:00')}`)).stdout).toBe(
    'a1\na2\n',
  );
  expect(await extracted(`web01@${third.number}`, 'a3')).toBe(digest(letters.a3));
  expect((await server.exec(['borgserver', 'snapshots', 'web01'])).stdout).toMatch(
    new RegExp(`\nRead one: borgserver borg list web01@${third.number}\n$`),
  );
  const fromVariable = { env: { ...env, BORG_REPO: `web01@${first.number}` }, reject: false };
  expect((await server.exec(['borg', 'list', '--short'], fromVariable)).stdout).toBe('a1\n');
  expect((await borg('key', 'export', `web01@${first.number}`)).stdout).toMatch(/^BORG_KEY [0-9a-f]{64}\n/);
  expect(await borg('info', `web01@${first.number}::a1`)).toMatchObject({ exitCode: 0 });
  expect(await borg('list', `web01@${first.number}::a2`)).toMatchObject({ exitCode: 2 });
});

test('what the server’s own borg remembers of the repository stays, and it and the client go on', async () => {
  expect((await borg('info', 'web01::a3')).exitCode).toBe(0);
  const before = await rememberedOf('web01');
  expect(before.size).toBeGreaterThan(0);
  expect((await borg('info', `web01@${first.number}::a1`)).exitCode).toBe(0);
  expect(await rememberedOf('web01')).toEqual(before);
  for (const words of [
    ['list', '--short', 'web01'],
    ['info', 'web01::a3'],
  ])
    expect(await borg(...words)).toMatchObject({ exitCode: 0, stderr: '' });
  await client.borg(['create', `${client.url('web01')}::later`, 'documents'], { cwd: client.home });
  await client.borg(['delete', `${client.url('web01')}::later`]);
});

test('the snapshot is the same afterwards, also where borg has made its index anew', async () => {
  const folder = join(folderOf('web01', second), 'repository');
  const [index = ''] = (await readdir(folder)).filter((name) => name.startsWith('index.'));
  // In place, so that its owner and its mode stay. The repository has another index by now.
  await writeFile(join(folder, index), 'spoiled');
  const before = await filesOf(folder);
  expect(before.filter(({ path, uid }) => path.startsWith('data/') && uid === 0).length).toBeGreaterThan(0);
  for (const words of [['list', '--short'], ['info']])
    expect(await borg(...words, `web01@${second.number}`)).toMatchObject({ exitCode: 0 });
  expect(await extracted(`web01@${second.number}`, 'a1')).toBe(digest(letters.a1));
  expect(await filesOf(folder)).toEqual(before);
});

test.for([
  [['delete', 'web01@1::a1'], 'borgserver undo web01 --to 1'],
  [['create', 'web01@2026-11-20T03:00Z::x', '/etc/hostname'], 'borgserver undo web01 --to 2026-11-20T03:00Z'],
  [['check', '--repair', 'web01@1'], 'borgserver undo web01'],
  [['break-lock', 'web01@1'], 'borgserver undo web01'],
  [['with-lock', 'web01@1', 'true'], 'borgserver undo web01'],
  [['list', 'all@1'], 'one repository'],
  [['list', 'web01@999'], 'no such snapshot; `borgserver snapshots web01` lists them'],
  [['list', 'web01@2001-01-01T00:00Z'], 'no such snapshot'],
  [['list', 'web01@yesterday'], 'a number, or a time such as'],
  [['list', 'web01@03:00'], 'a number, or a time such as'],
  [['list', 'web02@1'], 'web02 has no snapshot'],
] as const)('%j is refused', async ([words, reason]) => {
  const before = (await readdir(state('snapshots/web01'))).toSorted();
  expect(await borg(...words)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(reason) });
  expect((await readdir(state('snapshots/web01'))).toSorted()).toEqual(before);
});

test('nothing is left where it is ended by a signal, and what a killed one has left goes with the next', async () => {
  const waiting = async (signal: string) => {
    // borg waits for the passphrase.
    const words = ['sh', '-c', `echo $$; exec borgserver borg list web01@${first.number}`];
    const running = server.exec(words, { env: { BORG_PASSCOMMAND: 'sleep 600' }, reject: false });
    let said = '';
    running.stdout?.on('data', (chunk) => {
      said += String(chunk);
    });
    const made = () => readdir(state('reading')).catch(() => []);
    await until('borg to have begun', async () => {
      const [name] = await made();
      return name !== undefined && (await readdir(state(`reading/${name}/tree`))).includes('lock.roster');
    });
    await server.look(['kill', `-${signal}`, said.trim()]);
    return { ended: await running, left: await made() };
  };
  const asked = await waiting('TERM');
  expect(asked.ended.exitCode).not.toBe(0);
  expect(asked.left).toEqual([]);
  const killed = await waiting('KILL');
  expect(killed.left).toHaveLength(1);
  expect((await borg('list', '--short', `web01@${first.number}`)).stdout).toBe('a1\n');
});

test('of an account with several each has its own, and a repository of the very name is meant first', async () => {
  for (const name of ['fleet/main', 'fleet/main@1'])
    await fleet.borg(['init', '--encryption', 'repokey-blake2', fleet.url('fleet', name)]);
  const kept = await backedUp('a1', fleet, 'fleet/main');
  await fleet.borg(['delete', fleet.url('fleet', 'fleet/main'), 'a1']);
  expect(await extracted(`fleet/main@${timeText(kept.at)}`, 'a1')).toBe(digest(letters.a1));
  expect((await borg('list', '--short', 'fleet/main')).stdout).toBe('');
  expect(await borg('list', '--short', 'fleet/main@1')).toMatchObject({
    ...{ exitCode: 0, stdout: '' },
    stderr: expect.stringContaining('fleet/main@1 is a repository of this name, and no snapshot of fleet/main'),
  });
});

test('a repository that is gone is read, and where its account’s folder is gone it says what to do', async () => {
  const kept = await backedUp('a2', fleet, 'fleet/main');
  await rm(join(server.repos, 'fleet/main'), { recursive: true });
  expect(await extracted(`fleet/main@${timeText(kept.at)}`, 'a2')).toBe(digest(letters.a2));
  const [there, aside] = [join(server.repos, 'fleet'), state('aside')];
  await rename(there, aside);
  expect(await borg('list', `fleet/main@${timeText(kept.at)}`)).toMatchObject({
    ...{ exitCode: 2, stderr: expect.stringContaining('type update-borgusers') },
  });
});
