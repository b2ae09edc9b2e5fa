import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { holdLock, waitingForLock } from './harness/held-lock.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { updated } from './harness/updated.ts';

const ENV = { BORG_PASSPHRASE: 'borgserver' };

ownServer({ env: { REPO_SERVE_EXTRA_ARGS: '--storage-quota 20M' } });

/** Writes the key file of an account in repos/ with these directives; returns what update-borgusers says. */
const declare = async (name: string, ...directives: readonly string[]): Promise<string> => {
  const lines = [...directives.map((directive) => `# borgserver: ${directive}`), client.key.public];
  await writeFile(join(server.sshkeys, 'repos', name), `${lines.join('\n')}\n`);
  const { stdout } = await server.exec(['update-borgusers'], { reject: false });
  return stdout;
};

const init = (name: string) => client.borg(['init', '--encryption', 'repokey-blake2', client.url(name)]);

/** Backs up this many new bytes, which borg can neither compress nor deduplicate. */
const create = async (name: string, archive: string, bytes: number) => {
  await mkdir(join(client.home, 'documents'), { recursive: true });
  await writeFile(join(client.home, 'documents/film'), randomBytes(bytes));
  const words = ['create', `${client.url(name)}::${archive}`, 'documents'];
  return client.borg(words, { cwd: client.home, reject: false });
};

/** Each segment of the repository, with its size in bytes. */
const segmentsOf = async (name: string): Promise<readonly string[]> => {
  const folder = join(server.repos, name, 'data/0');
  const sizes = (await readdir(folder)).map(async (each) => `${each} ${(await stat(join(folder, each))).size}`);
  return (await Promise.all(sizes)).sort();
};

test('the quota of a key file counts instead of the quota of its role, whether it is larger or smaller', async () => {
  expect(await declare('large', 'quota=60M')).toContain('In force by key files:\n  large: quota=60M\n');
  await declare('small', 'quota=12M');
  await declare('usual');
  for (const name of ['large', 'small', 'usual']) await init(name);

  expect(await create('large', 'first', 25_000_000)).toMatchObject({ exitCode: 0 });
  const usual = await create('usual', 'first', 25_000_000);
  expect(usual).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('The storage quota (20.00 MB)') });
  const small = await create('small', 'first', 15_000_000);
  expect(small).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('The storage quota (12.00 MB)') });
  expect(small.stderr).not.toContain('Traceback');

  const told = JSON.parse((await server.exec(['update-borgusers', '--json'])).stdout);
  expect(told.accounts).toContainEqual({ name: 'large', role: 'repo', uid: expect.any(Number), keys: 1, quota: 60e6 });
  expect(told.accounts).toContainEqual({ name: 'usual', role: 'repo', uid: expect.any(Number), keys: 1 });
});

test('when a backup beyond the quota ends, what it has written is gone, in both roles, and the next backup works', async () => {
  for (const role of ['repos', 'repos-appendonly']) {
    const name = `over-${role}`;
    await writeFile(join(server.sshkeys, role, name), `# borgserver: quota=12M\n${client.key.public}\n`);
    await updated(server);
    await init(name);
    expect((await create(name, 'first', 3_000_000)).exitCode).toBe(0);
    const before = await segmentsOf(name);
    expect(await create(name, 'second', 25_000_000)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('The storage quota (12.00 MB)'),
    });
    expect(await segmentsOf(name)).toEqual(before);
    expect((await create(name, 'third', 3_000_000)).exitCode).toBe(0);
    expect((await client.borg(['check', '--verify-data', client.url(name)], { reject: false })).exitCode).toBe(0);
    expect((await client.borg(['list', '--short', client.url(name)])).stdout).toBe('first\nthird\n');
  }
});

test('a quota that was changed counts for the next backup, and a typing error does not lift it', async () => {
  await declare('changed', 'quota=12M');
  await init('changed');
  expect((await create('changed', 'first', 15_000_000)).exitCode).toBe(2);
  expect(await declare('changed', 'quota=50M')).toContain(
    'account changed changed (repo): quota=12M becomes quota=50M',
  );
  expect((await create('changed', 'second', 25_000_000)).exitCode).toBe(0);

  const slip = await declare('changed', 'quota=5OM');
  expect(slip).toContain('[bad-directive]');
  expect(slip).toContain('changed: quota=50M');
  await rm(join(server.sshkeys, 'repos/changed'));
  await updated(server);
});

test('a client over its quota is refused even delete and compact, maintenance makes room, and the client goes on', async () => {
  // borg keeps the first quota in the repository's config, where a plain borg on the server finds it.
  await declare('full', 'quota=12M');
  await init('full');
  await declare('full', 'quota=60M');
  for (const archive of ['first', 'second', 'third'])
    expect((await create('full', archive, 14_000_000)).exitCode).toBe(0);
  await declare('full', 'quota=30M');

  const url = client.url('full');
  const refused = 'The storage quota (30.00 MB) has been exceeded';
  expect(await create('full', 'fourth', 1_000_000)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(refused),
  });
  const deleted = await client.borg(['delete', `${url}::first`], { reject: false });
  expect(deleted).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(refused) });
  const alone = await server.exec(['delete', 'full::first'], { env: ENV, reject: false });
  expect(alone).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('The storage quota (12.00 MB)') });

  const config = await readFile(join(server.repos, 'full/config'), 'utf8');
  const maintain = (...words: string[]) =>
    server.exec(['borgserver', 'maintenance', 'full', '--', ...words], { env: ENV });
  const pruned = await maintain('prune', '--keep-last', '1');
  expect(pruned.stderr).toContain('freed nothing');
  const compacted = await maintain('compact');
  expect(compacted.stderr).toMatch(/borgserver: freed 2[78](\.\d+)?MB; the repository uses 1\d(\.\d+)?MB on the disk/);
  expect(await readFile(join(server.repos, 'full/config'), 'utf8')).toBe(config);

  expect(await create('full', 'fourth', 5_000_000)).toMatchObject({ exitCode: 0 });
  expect((await client.borg(['list', '--short', url])).stdout).toBe('third\nfourth\n');
  expect((await client.borg(['check', url], { reject: false })).exitCode).toBe(0);
  expect(await create('full', 'fifth', 20_000_000)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(refused),
  });
});

test('maintenance waits for whoever has the lock', async () => {
  await declare('locked');
  await init('locked');
  const held = await holdLock(server, client, 'locked', client.url('locked'));
  const maintained = server.exec(['borgserver', 'maintenance', 'locked', '--', 'compact']);
  await waitingForLock(server, 'locked');
  // Longer than borg by itself would have waited.
  const other = await client.borg(['--lock-wait', '3', 'list', client.url('locked')], { reject: false });
  expect(other.exitCode).toBe(2);
  await held.release();
  expect((await maintained).stderr).toContain('waits up to 24 h');
});

test('maintenance runs no other command, and touches no other repository', async () => {
  for (const [words, why] of [
    [['usual', '--', 'create', '::x', '/etc'], 'maintenance is for prune, compact, delete'],
    [['usual', '--', '--umask', '0', 'compact'], 'maintenance is for prune, compact, delete'],
    [['usual', '--', 'compact', 'large'], 'the words after -- name another repository'],
    [['usual', '--', 'delete', 'first'], 'an archive of usual is written ::ARCHIVE'],
    [['all', '--', 'compact'], 'is not one repository'],
    [['../etc', '--', 'compact'], 'cannot be a repository'],
    [['ssh://elsewhere/x', '--', 'compact'], 'is not on this server'],
    [['nobody', '--', 'compact'], 'there is no repository nobody'],
    [['usual'], 'maintenance is for prune, compact, delete'],
  ] as const) {
    const { exitCode, stderr } = await server.exec(['borgserver', 'maintenance', ...words], { reject: false });
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining(why) });
  }
});
