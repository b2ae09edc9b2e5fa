import { mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { client, ownServer, server } from './harness/own-server.ts';
import { open, requests, type Value } from './harness/raw-borg.ts';
import { updated } from './harness/updated.ts';

/** Writes a key file with these directives; returns what update-borgusers says. */
const declare = async (path: string, ...directives: readonly string[]): Promise<string> => {
  const lines = [...directives.map((directive) => `# borgserver: ${directive}`), client.key.public];
  await writeFile(join(server.sshkeys, path), `${lines.join('\n')}\n`);
  return (await server.exec(['update-borgusers'])).stdout;
};

const init = (account: string, repository: string) =>
  client.borg(['init', '--encryption', 'repokey-blake2', client.url(account, repository)], { reject: false });

const create = (account: string, repository: string, archive: string) =>
  client.borg(['create', `${client.url(account, repository)}::${archive}`, 'documents'], { cwd: client.home });

const NOT_ALLOWED = { exitCode: 2, stderr: expect.stringContaining('Repository path not allowed') };

ownServer({ env: { REPOSITORIES_PER_ACCOUNT: '4' } }, async () => {
  await mkdir(join(client.home, 'documents'));
  await writeFile(join(client.home, 'documents/letter'), 'Dear Sir or Madam');
  await declare('repos/plain');
  expect((await init('plain', 'plain')).exitCode).toBe(0);
  expect(await declare('repos/fleet', 'sub-repositories=yes')).toContain('fleet: sub-repositories=yes');
});

test('an account with sub-repositories keeps several repositories in its folder, and owns them', async () => {
  for (const name of ['one', 'two']) {
    expect((await init('fleet', `fleet/${name}`)).exitCode).toBe(0);
    await create('fleet', `fleet/${name}`, name);
    const listed = await client.borg(['list', '--short', client.url('fleet', `fleet/${name}`)]);
    expect(listed.stdout).toBe(`${name}\n`);
    const [folder, own] = [await stat(join(server.repos, 'fleet', name)), await stat(join(server.repos, 'fleet'))];
    expect([folder.uid, folder.gid, folder.mode & 0o7777]).toEqual([own.uid, own.uid, 0o2770]);
  }
  await client.borg(['delete', client.url('fleet', 'fleet/two')], {
    env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' },
  });
  expect(await readdir(join(server.repos, 'fleet'))).toEqual(['one']);
  expect((await init('fleet', 'fleet/two')).exitCode).toBe(0);
});

test('an account with sub-repositories stays in its folder', async () => {
  await declare('repos/fleet2', 'sub-repositories=yes');
  await symlink('/repos/plain', join(server.repos, 'fleet/link'));
  await symlink('..', join(server.repos, 'fleet/up'));
  for (const path of [
    'plain',
    'plain/x',
    'fleet2',
    'fleet2/x',
    'fleet/../plain',
    'fleet/link',
    'fleet/link/x',
    'fleet/up/plain',
    'new',
  ]) {
    expect(await init('fleet', path), path).toMatchObject(NOT_ALLOWED);
    const listed = await client.borg(['list', client.url('fleet', path)], { reject: false });
    expect(listed, path).toMatchObject(NOT_ALLOWED);
  }
  expect(await readdir(join(server.repos, 'fleet2'))).toEqual([]);
});

test('an account without sub-repositories has one repository', async () => {
  expect(await init('plain', 'plain/below')).toMatchObject(NOT_ALLOWED);
  await declare('repos/other', 'sub-repositories=no');
  expect(await init('other', 'other/below')).toMatchObject(NOT_ALLOWED);
  expect((await init('other', 'other')).exitCode).toBe(0);
});

test('append-only holds for each sub-repository', async () => {
  await declare('repos-appendonly/vault', 'sub-repositories=yes', 'quota=50M');
  expect((await init('vault', 'vault/one')).exitCode).toBe(0);
  await create('vault', 'vault/one', 'first');
  const segments = () => readdir(join(server.repos, 'vault/one/data/0'));
  const before = await segments();
  await client.borg(['delete', `${client.url('vault', 'vault/one')}::first`]);
  await client.borg(['compact', client.url('vault', 'vault/one')]);
  expect(await segments()).toEqual(expect.arrayContaining(before));
});

test('an account makes no more repositories than it may have, however it tries, and may make another when one is gone', async () => {
  await declare('repos/eager', 'sub-repositories=yes');
  const url = (name: string) => client.url('eager', `eager/${name}`);
  const make = (name: string) =>
    client.borg(['init', '--encryption', 'none', '--make-parent-dirs', url(name)], { reject: false });
  const tooMany = 'Remote: This account may have 4 repositories and folders on this server, and not more';
  // A repository called `config` does not turn the folder that it is in into a repository.
  for (const name of ['config', 'one']) expect((await make(name)).exitCode).toBe(0);
  expect((await make('a/b/c')).stderr).toContain(tooMany);
  expect((await make('a/b/c/d/e')).stderr).toContain(
    'Remote: A repository of this account lies at most 4 folders deep',
  );
  // The folder between them counts.
  expect((await make('deep/two')).exitCode).toBe(0);
  const refused = await make('five');
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain(tooMany);
  expect(refused.stderr).not.toContain('Traceback');
  expect((await make('one')).stderr).toContain('already exists');
  expect(await readdir(join(server.repos, 'eager'))).toEqual(['config', 'deep', 'one']);
  // What is there works as before, and so does what others make.
  await create('eager', 'eager/one', 'first');
  expect((await init('fleet', 'fleet/three')).exitCode).toBe(0);
  await client.borg(['delete', url('config')], { env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' } });
  expect((await make('five')).exitCode).toBe(0);
});

test('nor does it make more by borg’s protocol without borg: several at once, or what looks like a repository and is none', async () => {
  await declare('repos/crafty', 'sub-repositories=yes');
  const made = async () => (await readdir(join(server.repos, 'crafty'))).filter((name) => name.startsWith('made'));
  const speak = (...calls: readonly (readonly [string, Value])[]) =>
    client.ssh('crafty', ['borg', 'serve'], { input: requests(...calls), reject: false });
  // With plain borg that leaves a file `config` in the account's own folder.
  const top = open('/repos/crafty', { create: true, exclusive: true });
  await speak(top, ['destroy', {}], ['save_key', { keydata: Buffer.from('x') }]);
  expect(await readdir(join(server.repos, 'crafty'))).toEqual([]);
  await writeFile(join(server.repos, 'crafty/config'), '');
  const sessions = Array.from({ length: 8 }, (_, number) =>
    speak(open(`/repos/crafty/made${number}`, { create: true })),
  );
  await Promise.all(sessions);
  expect(await made()).toHaveLength(4);
});

test('borg on the server and maintenance know sub-repositories by their path', async () => {
  const env = { BORG_PASSPHRASE: 'borgserver' };
  expect((await server.exec(['list', '--short', 'fleet/one'], { env })).stdout).toBe('one\n');
  const compacted = await server.exec(['borgserver', 'maintenance', 'fleet/one', '--', 'compact']);
  expect(compacted.stderr).toContain('compact on /repos/fleet/one without its quota');
  await create('fleet', 'fleet/one', 'after');
});

test('sub-repositories whose directive is removed are out of reach and still there, and go on when it is back', async () => {
  expect(await declare('repos/fleet')).toContain('sub-repositories=yes becomes nothing in its key file');
  const listed = await client.borg(['list', client.url('fleet', 'fleet/one')], { reject: false });
  expect(listed).toMatchObject(NOT_ALLOWED);
  await declare('repos/fleet', 'sub-repositories=yes');
  expect((await client.borg(['list', '--short', client.url('fleet', 'fleet/one')])).stdout).toBe('one\nafter\n');
});

test('an earlier repository of the account moves into a sub-folder as docs/key-files.md says, and goes on', async () => {
  await create('plain', 'plain', 'before');
  await rm(join(server.sshkeys, 'repos/plain'));
  await updated(server);
  await mkdir(join(server.repos, 'plain.new'));
  await rename(join(server.repos, 'plain'), join(server.repos, 'plain.new/main'));
  await rename(join(server.repos, 'plain.new'), join(server.repos, 'plain'));
  await declare('repos/plain', 'sub-repositories=yes');
  const env = { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
  const words = ['create', `${client.url('plain', 'plain/main')}::after`, 'documents'];
  await client.borg(words, { cwd: client.home, env });
  expect((await client.borg(['list', '--short', client.url('plain', 'plain/main')])).stdout).toBe('before\nafter\n');
  const [main, own] = [await stat(join(server.repos, 'plain/main')), await stat(join(server.repos, 'plain'))];
  expect([main.uid, main.gid, own.mode & 0o7777]).toEqual([own.uid, own.uid, 0o2770]);
});
