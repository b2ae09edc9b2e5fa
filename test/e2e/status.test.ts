import { randomBytes } from 'node:crypto';
import { mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { holdLock } from './harness/held-lock.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { updated } from './harness/updated.ts';

ownServer({ env: { STALE_AFTER: '3d' } }, async () => {
  await writeFile(join(client.home, 'letter'), randomBytes(2_000_000));
});

const declare = async (path: string, ...lines: string[]): Promise<void> => {
  await writeFile(join(server.sshkeys, path), `${[...lines, client.key.public].join('\n')}\n`);
  await server.exec(['update-borgusers'], { reject: false });
};
const init = (name: string, encryption = 'repokey-blake2', repository?: string) =>
  client.borg(['init', '--encryption', encryption, client.url(name, repository)]);
const create = (name: string, archive = 'first') =>
  client.borg(['create', `${client.url(name)}::${archive}`, 'letter'], { cwd: client.home });

const status = async (...words: string[]) => {
  const { stdout, exitCode } = await server.exec(['borgserver', 'status', '--json', ...words], { reject: false });
  return { ...JSON.parse(stdout), exitCode };
};
const rowOf = async (name: string, ...words: string[]) => {
  const { repositories } = await status(...words);
  const row = repositories.find((each: { name: string }) => each.name === name);
  return { ...row, marks: row?.marks.map(({ code }: { code: string }) => code) };
};
const screen = async () => (await server.exec(['borgserver', 'status'], { reject: false })).stdout;
/** Makes the last backup, or the folder, look older; its birth cannot be changed. */
const age = async (name: string, days: number): Promise<void> => {
  const then = new Date(Date.now() - days * 86_400_000);
  const { stdout } = await server.look(['find', `/repos/${name}`, '-type', 'f', '-printf', '%P\n']);
  for (const file of stdout.trim().split('\n'))
    if (/^(index|nonce|data\/)/.test(file)) await utimes(join(server.repos, name, file), then, then);
};

test('an empty server has a screen, too', async () => {
  const { stdout, exitCode } = await server.exec(['borgserver', 'status']);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^borgserver \d.* borg 1\.\d.*, OpenSSH_\d.*; on port \d+, started \d+ s ago\n/);
  expect(stdout).toMatch(/last update .* took \d+ ms/);
  expect(stdout).toContain('There is no repository.');
});

test('a repository with a backup is all right, and status shows what borg counts', async () => {
  await declare('repos/web01');
  await init('web01');
  await create('web01');
  const row = await rowOf('web01');
  expect(row).toMatchObject({ role: 'repo', keys: 1, quota: null, encryption: 'repokey-blake2', locks: [], marks: [] });
  const info = JSON.parse((await client.borg(['info', '--json', client.url('web01')])).stdout);
  expect(row.objects).toBe(info.cache.stats.total_unique_chunks + 1);
  expect(row.bytes).toBeGreaterThan(info.cache.stats.unique_csize);
  expect(row.bytes).toBeLessThan(info.cache.stats.unique_csize * 1.05 + 5000);
  expect(await screen()).toMatch(/^ +web01 +repo +1 +2\.0 MB +- +\d+ s ago +ok$/m);
});

test('each thing that is wrong has a mark and a word', async () => {
  await declare('repos-appendonly/never');
  await declare('repos/fresh');
  await init('fresh');
  await declare('repos/plain');
  await init('plain', 'none');
  await declare('repos/full', '# borgserver: quota=10M');
  await init('full');
  await writeFile(join(client.home, 'film'), randomBytes(9_300_000));
  await client.borg(['create', `${client.url('full')}::film`, 'film'], { cwd: client.home });
  await declare('repos/gone');
  await init('gone');
  await rm(join(server.sshkeys, 'repos/gone'));
  await updated(server);
  await mkdir(join(server.repos, 'roots'));
  await symlink('/etc', join(server.repos, 'link\x1b[31m'));
  await declare('admins/alice');
  await client.borg(['init', '-e', 'repokey', client.url('alice', 'fresh-by-alice')]);

  const expected = {
    never: ['never-initialised'],
    fresh: ['no-archive'],
    plain: ['no-archive', 'not-encrypted'],
    full: ['near-quota'],
    gone: ['no-archive', 'no-key'],
    roots: ['wrong-owner', 'never-initialised', 'no-key'],
    'link\\u{1b}[31m': ['not-a-folder'],
    'fresh-by-alice': ['no-archive'],
    web01: [],
  };
  for (const [name, marks] of Object.entries(expected))
    expect({ name, marks: [...(await rowOf(name)).marks].sort() }).toEqual({ name, marks: [...marks].sort() });
  await declare('repos/full', '# borgserver: quota=10M', '# another comment');
  const text = await screen();
  expect(text).not.toContain('\x1b');
  expect(text).toMatch(/^\* +never +append-only +1 +- +- +never +never initialised$/m);
  expect(text).toMatch(/^\* +full .* 9\d% of 10M .*near its quota of 10M$/m);
  expect(text).toMatch(/^! +link.* a link or a file, not a folder$/m);
  expect(text).toMatch(/^admins: alice \(1 key\)$/m);
});

test('a repository that an admin made inside another account’s folder is marked; a sub-repository is not', async () => {
  await client.borg(['init', '-e', 'repokey', client.url('alice', 'never/inside')]);
  expect((await rowOf('never/inside')).marks).toContain('nested');
  await declare('repos/team', '# borgserver: sub-repositories=yes');
  await init('team', 'repokey', 'team/one');
  const { repositories } = await status();
  const names = repositories.map(({ name }: { name: string }) => name);
  expect(names).toContain('team/one');
  expect(names).not.toContain('team');
  expect((await rowOf('team/one')).marks).toEqual(['no-archive']);
});

test('a repository whose backups have stopped coming is stale, and makes the exit code 1', async () => {
  expect(await status()).toMatchObject({ exitCode: 0, stale: [] });
  await age('web01', 4);
  expect(await status()).toMatchObject({ exitCode: 1, stale: ['web01'] });
  expect(await status('--stale-after', '5d')).toMatchObject({ exitCode: 0, stale: [] });
  expect(await status('--stale-after', 'never')).toMatchObject({ exitCode: 0, stale: [] });
  expect(await screen()).toMatch(/^! +web01 .*4 d ago +STALE: no backup for 4 d$/m);
  expect(await screen()).toMatch(/1 STALE: web01$/m);
  const wrong = await server.exec(['borgserver', 'status', '--stale-after', 'soon'], { reject: false });
  expect(wrong).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('for example 26h') });

  // A compaction by the server is no backup.
  await server.exec(['compact', 'web01']);
  expect(await status()).toMatchObject({ exitCode: 1, stale: ['web01'] });
  await create('web01', 'second');
  expect(await status()).toMatchObject({ exitCode: 0, stale: [] });
});

test('a prune by an admin does not hide that the backups of an account have stopped', async () => {
  await declare('repos/silent');
  await init('silent');
  await create('silent');
  const before = (await rowOf('silent')).lastBackup;
  await until('its session to be closed', async () => (await status()).server.sessions === 0);
  const admin = { env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' } };
  await client.borg(['create', `${client.url('silent')}::second`, 'letter'], { cwd: client.home });
  const between = (await rowOf('silent')).lastBackup;
  expect(between).toBeGreaterThan(before);
  await until('its session to be closed', async () => (await status()).server.sessions === 0);
  const login = (await status()).server.accounts.find((each: { name: string }) => each.name === 'silent').lastLogin;
  await client.borg(['prune', '--keep-last', '1', client.url('alice', 'silent')], admin);
  expect((await rowOf('silent')).lastBackup).toBe(login);
  expect(login).toBeLessThanOrEqual(between + 1000);
});

test('status names the holder of a lock by account and address', async () => {
  const held = await holdLock(server, client, 'web01', client.url('web01'));
  const { locks } = await rowOf('web01');
  expect(locks).toEqual([
    { kind: 'exclusive', by: expect.stringMatching(/^web01 from [\d.]+$/), since: expect.any(Number) },
  ]);
  expect(await screen()).toMatch(/ web01 .* by web01 from [\d.]+, \d+ s +ok/);
  await held.release();
  await until('the lock to be gone', async () => (await rowOf('web01')).locks.length === 0);
});

test('on a narrow terminal what matters stays, coloured', async () => {
  const narrow = (env: string) =>
    server.exec(['sh', '-c', `script -qec 'stty cols 70; ${env} borgserver status' /dev/null`], { reject: false });
  const { stdout } = await narrow('TERM=xterm');
  expect(stdout).toContain('\x1b[33m*');
  const lines = stripVTControlCharacters(stdout).split('\r\n');
  const table = lines.slice(
    lines.findIndex((line) => line.includes('REPOSITORY')),
    -3,
  );
  expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(70);
  expect(table.find((line) => line.includes(' web01 '))).toMatch(/ok$/);
  expect((await narrow('TERM=xterm NO_COLOR=1')).stdout).not.toContain('\x1b[');
});

test('without a server status still shows the repositories', async () => {
  await server.exec(['sh', '-c', 'mv /run/borgserver/control.sock /run/borgserver/away']);
  const { stdout, exitCode } = await server.exec(['borgserver', 'status'], { reject: false });
  await server.exec(['sh', '-c', 'mv /run/borgserver/away /run/borgserver/control.sock']);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^no server runs here/);
  expect(stdout).toMatch(/^ +web01 +- +- +2\.\d MB .* ok$/m);
});

test('the health check says what is wrong', async () => {
  const check = async () => {
    const { stdout, exitCode } = await server.exec(['borgserver', 'healthcheck'], { reject: false });
    return `${exitCode} ${stdout.trim()}`;
  };
  await writeFile(join(server.sshkeys, 'repos/bad'), 'no key\n');
  await server.exec(['update-borgusers'], { reject: false });
  expect(await check()).toBe('0 healthy');
  expect(await screen()).toMatch(/finding.* open, .*error/);
  await server.exec(['sh', '-c', 'mv /run/borgserver/control.sock /run/borgserver/away']);
  expect(await check()).toBe('1 the server does not run');
  await server.exec(['sh', '-c', 'mv /run/borgserver/away /run/borgserver/control.sock']);
  expect(await check()).toBe('0 healthy');
});
