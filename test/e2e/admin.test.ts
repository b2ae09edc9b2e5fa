import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { anotherClient, client as host, ownServer, server } from './harness/own-server.ts';
import { ownerships } from './harness/repository-files.ts';
import { type Server, startServer } from './harness/server.ts';
import { updated } from './harness/updated.ts';

let operator: Client;
const letter = randomBytes(200_000);

ownServer({}, async () => {
  operator = await anotherClient();
  for (const { home } of [host, operator]) {
    await mkdir(join(home, 'documents'));
    await writeFile(join(home, 'documents/letter'), letter);
  }
  await writeKeyFile(server, 'repos/web01', host.key);
  await writeKeyFile(server, 'repos/bare', host.key);
  await grant(server, 'admins/ops', operator.key);
});

/** Holds that everything in a repository can be used by its account and by every admin, and by nobody else. */
const expectShared = async (repository: string, owners: readonly number[]): Promise<void> => {
  const { gid } = await stat(join(server.repos, repository));
  const entries = await ownerships(join(server.repos, repository));
  expect(entries.length).toBeGreaterThan(1);
  for (const entry of entries) {
    expect(entry).toMatchObject(
      entry.kind === 'folder' ? { kind: 'folder', mode: '2770', gid } : { kind: 'file', mode: '660', gid },
    );
    expect(owners, entry.path).toContain(entry.uid);
  }
};

const restoredLetter = async (client: Client, archive: string): Promise<Buffer> => {
  const cwd = join(client.home, `restored-${performance.now()}`);
  await mkdir(cwd);
  await client.borg(['extract', archive], { cwd });
  return readFile(join(cwd, 'documents/letter'));
};

test('an account and an admin use one repository in turn, and every file stays open to both', async () => {
  const own = host.url('web01');
  const asAdmin = operator.url('ops', 'web01');
  const account = (await stat(join(server.repos, 'web01'))).uid;
  const everything = async (client: Client, url: string, name: string) => {
    const borg = (...words: string[]) => client.borg(words, { cwd: client.home });
    await writeFile(join(client.home, 'documents/other'), randomBytes(400_000));
    await borg('create', `${url}::${name}-1`, 'documents');
    await borg('create', `${url}::${name}-2`, 'documents');
    await borg('prune', '--glob-archives', `${name}-*`, '--keep-last', '1', url);
    await borg('compact', '--threshold', '0', url);
    await borg('check', url);
    expect((await borg('list', '--short', '--glob-archives', `${name}-*`, url)).stdout).toBe(`${name}-2\n`);
    expect(await restoredLetter(client, `${url}::${name}-2`)).toEqual(letter);
    await expectShared('web01', [account, 1000]);
  };

  await host.borg(['init', '--encryption', 'repokey-blake2', own]);
  await everything(host, own, 'host');
  await everything(operator, asAdmin, 'admin');
  await host.borg(['create', `${own}::again-2`, 'documents'], { cwd: host.home });

  // Each can delete what the other has made.
  await host.borg(['delete', `${own}::admin-2`]);
  await operator.borg(['delete', `${asAdmin}::again-2`]);
  await operator.borg(['key', 'change-passphrase', asAdmin], { env: { BORG_NEW_PASSPHRASE: 'borgserver' } });
  await host.borg(['compact', '--threshold', '0', own]);
  await host.borg(['check', own]);
  expect((await host.borg(['list', '--short', own])).stdout).toBe('host-2\n');
  await expectShared('web01', [account, 1000]);
});

test('an admin goes on with a repository whose key file is gone, and so does the account when its key file is back', async () => {
  await writeKeyFile(server, 'repos/leaver', host.key);
  await updated(server);
  const borg = (client: Client, ...words: string[]) => client.borg(words, { cwd: client.home });
  await borg(host, 'init', '-e', 'repokey-blake2', host.url('leaver'));
  await borg(host, 'create', `${host.url('leaver')}::one`, 'documents');
  await rm(join(server.sshkeys, 'repos/leaver'));
  await updated(server);
  await borg(operator, 'create', `${operator.url('ops', 'leaver')}::two`, 'documents');
  await borg(operator, 'delete', `${operator.url('ops', 'leaver')}::one`);
  await server.start();
  await borg(operator, 'compact', operator.url('ops', 'leaver'));
  await writeKeyFile(server, 'repos/leaver', host.key);
  await updated(server);
  expect((await borg(host, 'list', '--short', host.url('leaver'))).stdout).toBe('two\n');
});

test('an admin deletes the repository of an account and makes it anew, and the account goes on', async () => {
  const asAdmin = operator.url('ops', 'bare');
  const account = (await stat(join(server.repos, 'bare'))).uid;
  await host.borg(['init', '--encryption', 'repokey-blake2', host.url('bare')]);
  const deleted = await operator.borg(['delete', asAdmin], { env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' } });
  expect(deleted.stderr).not.toContain('Traceback');
  expect(await readdir(join(server.repos, 'bare'))).toEqual([]);

  await operator.borg(['init', '--encryption', 'repokey-blake2', asAdmin]);
  await host.borg(['create', `${host.url('bare')}::first`, 'documents'], { cwd: host.home });
  expect((await operator.borg(['list', '--short', asAdmin])).stdout).toBe('first\n');
  await expectShared('bare', [account, 1000]);
});

test('a repository that an admin made is given to its account once the key file is there', async () => {
  const asAdmin = operator.url('ops', 'later');
  await operator.borg(['init', '--encryption', 'repokey-blake2', asAdmin]);
  await operator.borg(['create', `${asAdmin}::of-admin`, 'documents'], { cwd: operator.home });
  expect((await stat(join(server.repos, 'later'))).uid).toBe(1000);

  await grant(server, 'repos/later', host.key);
  const account = (await stat(join(server.repos, 'later'))).uid;
  expect(account).toBeGreaterThanOrEqual(10_000);
  await expectShared('later', [account]);
  await host.borg(['create', `${host.url('later')}::of-account`, 'documents'], { cwd: host.home });
  await operator.borg(['create', `${asAdmin}::of-admin-again`, 'documents'], { cwd: operator.home });
  expect((await host.borg(['list', '--short', host.url('later')])).stdout).toBe(
    'of-admin\nof-account\nof-admin-again\n',
  );
  await expectShared('later', [account, 1000]);
});

test('the folder of a repository has its setgid bit after it was made, and again after a repair', async () => {
  await grant(server, 'repos/bits', host.key);
  const folder = join(server.repos, 'bits');
  const { uid, gid } = await stat(folder);
  expect({ uid, mode: (await stat(folder)).mode & 0o7777 }).toEqual({ uid: gid, mode: 0o2770 });
  await host.borg(['init', '--encryption', 'repokey-blake2', host.url('bits')]);

  await chown(folder, 0, 0);
  await chmod(folder, 0o755);
  await updated(server);
  expect(await stat(folder)).toMatchObject({ uid, gid });
  expect((await stat(folder)).mode & 0o7777).toBe(0o2770);
  await host.borg(['create', `${host.url('bits')}::first`, 'documents'], { cwd: host.home });
  await operator.borg(['create', `${operator.url('ops', 'bits')}::second`, 'documents'], { cwd: operator.home });
  await expectShared('bits', [uid, 1000]);
});

test('an admin reaches nothing but the repositories', async () => {
  for (const path of ['/etc/admin', '/sshkeys/repos', '/repos/../tmp/admin', '/reposX']) {
    const url = `ssh://ops@127.0.0.1:${server.port}${path}`;
    const refused = await operator.borg(['init', '--encryption', 'none', url], { reject: false });
    expect({ path, exitCode: refused.exitCode }).toEqual({ path, exitCode: 2 });
    expect(refused.stderr, path).toContain('Repository path not allowed');
  }
  // The server's own state lies beside the repositories, and belongs to root.
  const state = await operator.borg(['init', '--encryption', 'none', operator.url('ops', '.borgserver/mine')], {
    reject: false,
  });
  expect(state.exitCode).toBe(2);
  expect(await readdir(join(server.repos, '.borgserver'))).not.toContain('mine');

  const shell = await operator.ssh('ops', ['id'], { reject: false });
  expect(shell.exitCode).toBe(1);
  expect(shell.stdout).toBe('');
});

describe('an empty server with BORG_SSHKEYS only', () => {
  let single: Server;
  let owner: Client;

  beforeAll(async () => {
    single = await startServer();
    owner = await createClient(single);
    await mkdir(join(owner.home, 'documents'));
    await writeFile(join(owner.home, 'documents/letter'), letter);
    const another = await owner.newKey('ecdsa');
    await single.start({ BORG_SSHKEYS: `${owner.key.public},\n${another.public},`, PUID: '3021', PGID: '3022' });
  });
  afterAll(async () => {
    await owner?.cleanup();
    await single?.cleanup();
  });

  test('borg makes and uses any repository under /repos, as PUID and PGID', async () => {
    for (const repository of ['laptop', 'phone']) {
      const url = owner.url('borg', repository);
      await owner.borg(['init', '--encryption', 'repokey-blake2', url]);
      await owner.borg(['create', `${url}::first`, 'documents'], { cwd: owner.home });
      expect(await restoredLetter(owner, `${url}::first`)).toEqual(letter);
    }
    const nested = owner.url('borg', 'family/desktop');
    await owner.borg(['init', '--make-parent-dirs', '--encryption', 'repokey-blake2', nested]);
    await owner.borg(['create', `${nested}::first`, 'documents'], { cwd: owner.home });
    for (const entry of await ownerships(join(single.repos, 'phone'))) {
      expect(entry).toMatchObject({ uid: 3021, gid: 3022 });
    }
    const { uid, gid, mode } = await lstat(single.repos);
    expect({ uid, gid, mode: (mode & 0o7777).toString(8) }).toEqual({ uid: 0, gid: 3022, mode: '1771' });
  });

  test('borg deletes a repository and makes it anew', async () => {
    const url = owner.url('borg', 'gone');
    for (const round of [1, 2]) {
      await owner.borg(['init', '--encryption', 'repokey-blake2', url]);
      const deleted = await owner.borg(['delete', url], {
        env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' },
        reject: false,
      });
      expect({ round, exitCode: deleted.exitCode, stderr: deleted.stderr }).toMatchObject({ round, exitCode: 0 });
      expect(deleted.stderr).not.toContain('Traceback');
    }
  });

  test('keys in admins/borg count beside those of the environment', async () => {
    const third = await owner.newKey();
    await grant(single, 'admins/borg', third);
    for (const key of [owner.key, third]) {
      expect((await owner.ssh('borg', ['borg', '--version'], { key })).stdout).toMatch(/^borg 1\./);
    }
  });
});
