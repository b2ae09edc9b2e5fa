import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Client } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { anotherClient, client, ownServer, server } from './harness/own-server.ts';

let secondHost: Client;
const letter = randomBytes(200_000);

ownServer({}, async () => {
  secondHost = await anotherClient();
  for (const { home } of [client, secondHost]) {
    await mkdir(join(home, 'documents'));
    await writeFile(join(home, 'documents/letter'), letter);
  }
});

const restored = async (from: Client, archive: string, options = {}): Promise<Buffer> => {
  const cwd = join(from.home, `restored-${performance.now()}`);
  await mkdir(cwd);
  await from.borg(['extract', archive], { cwd, ...options });
  return readFile(join(cwd, 'documents/letter'));
};

test('an account does everything with its own repository, deletes it, and begins anew', async () => {
  await grant(server, 'repos/web01', client.key);
  const web01 = client.url('web01');
  const borg = (...words: string[]) => client.borg(words, { cwd: client.home });
  const archives = async () => (await borg('list', '--short', web01)).stdout.trim().split('\n');
  const segmentBytes = async () => {
    const files = await readdir(join(server.repos, 'web01/data/0'));
    const sizes = files.map(async (file) => (await readFile(join(server.repos, 'web01/data/0', file))).length);
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  };

  await borg('init', '--encryption', 'repokey-blake2', web01);
  await borg('create', `${web01}::first`, 'documents');
  await writeFile(join(client.home, 'documents/more'), randomBytes(1_000_000));
  await borg('create', `${web01}::second`, 'documents');
  expect(await archives()).toEqual(['first', 'second']);

  await borg('delete', `${web01}::second`);
  await borg('create', `${web01}::third`, 'documents/letter');
  await borg('prune', '--keep-last', '1', web01);
  expect(await archives()).toEqual(['third']);

  const before = await segmentBytes();
  await borg('compact', '--threshold', '0', web01);
  expect(await segmentBytes()).toBeLessThan(before - 900_000);
  await borg('check', '--verify-data', web01);
  expect(await restored(client, `${web01}::third`)).toEqual(letter);

  const deleted = await client.borg(['delete', web01], { env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' } });
  expect(deleted.stderr).not.toMatch(/Traceback|Error/);
  expect(await readdir(join(server.repos, 'web01'))).toEqual([]);

  await borg('init', '--encryption', 'repokey-blake2', web01);
  await borg('create', `${web01}::anew`, 'documents');
  expect(await restored(client, `${web01}::anew`)).toEqual(letter);
});

test('relative addresses mean the account’s own repository, too', async () => {
  await grant(server, 'repos/relative', client.key);
  const at = (path: string) => `ssh://relative@127.0.0.1:${server.port}${path}`;
  // borg sees another address of the same repository. It asks, since the repository could be somebody else's.
  const options = { cwd: client.home, env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' } };
  await client.borg(['init', '--encryption', 'repokey-blake2', at('/./')], options);
  await client.borg(['create', `${at('/./')}::first`, 'documents'], options);
  for (const path of ['/~relative', '/~/relative', '/repos/relative', '/repos/relative/']) {
    const listed = await client.borg(['list', '--short', at(path)], options);
    expect({ path, archives: listed.stdout }).toEqual({ path, archives: 'first\n' });
  }
});

test('several keys in one file let several hosts write to one repository', async () => {
  const another = await client.newKey('rsa');
  await grant(server, 'repos/shared', client.key, another, secondHost.key);
  const shared = client.url('shared');
  await client.borg(['init', '--encryption', 'repokey-blake2', shared]);
  await client.borg(['create', `${shared}::first-key`, 'documents'], { cwd: client.home });
  await client.borg(['create', `${shared}::second-key`, 'documents'], { cwd: client.home, key: another });
  await secondHost.borg(['create', `${shared}::second-host`, 'documents'], { cwd: secondHost.home });
  expect((await client.borg(['list', '--short', shared])).stdout).toBe('first-key\nsecond-key\nsecond-host\n');
  expect(await restored(client, `${shared}::second-host`, { key: another })).toEqual(letter);
});

test('one key opens every account that names it, each with its own repository', async () => {
  await writeKeyFile(server, 'repos/one', client.key);
  await grant(server, 'repos/two', client.key);
  for (const name of ['one', 'two']) {
    await client.borg(['init', '--encryption', 'repokey-blake2', client.url(name)]);
    await client.borg(['create', `${client.url(name)}::of-${name}`, 'documents'], { cwd: client.home });
  }
  for (const name of ['one', 'two']) {
    expect((await client.borg(['list', '--short', client.url(name)])).stdout).toBe(`of-${name}\n`);
  }
  const crossed = await client.borg(['list', client.url('one', 'two')], { reject: false });
  expect(crossed.stderr).toContain('Repository path not allowed');
});

test("a client may call the server's borg as hosters do, and asks for its version", async () => {
  await grant(server, 'repos/hosted', client.key);
  const hosted = client.url('hosted');
  await client.borg(['--remote-path', 'borg14', 'init', '--encryption', 'repokey-blake2', hosted]);
  await client.borg(['--remote-path', '/usr/local/bin/borg1', 'create', `${hosted}::first`, 'documents'], {
    cwd: client.home,
  });
  expect(await restored(client, `${hosted}::first`)).toEqual(letter);
  for (const command of ['borg --version', 'borg14 --version', 'borg1 -V']) {
    expect((await client.ssh('hosted', [command])).stdout).toMatch(/^borg 1\.\d+\.\d+\n$/);
  }
});
