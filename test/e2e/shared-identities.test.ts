import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { type ExfatDisk, makeExfatDisk } from './harness/exfat-disk.ts';
import { holdLock } from './harness/held-lock.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { open, requests } from './harness/raw-borg.ts';
import { contents, ownerships } from './harness/repository-files.ts';
import { type Server, startServer } from './harness/server.ts';
import { connected, sessionsOf } from './harness/sessions.ts';
import { updated } from './harness/updated.ts';
import { sessionOf } from './isolation/processes.ts';

const SHARED = { IDENTITIES: 'shared', PUID: '1500', PGID: '1600' };
const FOR_ADMINS = { uid: 1500, gid: 1600, umask: '007' };
const SENTENCE =
  'only the box of each borg, where the kernel has one, and borg’s own restriction keep a tenant from the data of others';

describe('on a disk that cannot change owners (exFAT)', () => {
  let disk: ExfatDisk;
  let server: Server;
  let client: Client;
  let mallory: Client;
  let admin: Client;

  beforeAll(async () => {
    disk = makeExfatDisk();
    server = await startServer({
      ready: false,
      prepare: async ({ sshkeys, repos }) => {
        disk.mount(repos, FOR_ADMINS);
        await mkdir(join(sshkeys, 'repos'));
      },
    });
  });

  afterAll(async () => {
    await client?.cleanup();
    await mallory?.cleanup();
    await admin?.cleanup();
    await server?.stop();
    disk?.remove();
    await server?.cleanup();
  });

  test('the start ends with one sentence that names the way out, and makes nothing', async () => {
    expect(await server.ended()).not.toBe(0);
    const lines = server.log().split('\n');
    expect(lines.filter((line) => line.includes('IDENTITIES=shared'))).toEqual([
      expect.stringMatching(/the file system of the repositories cannot change owners.*set IDENTITIES=shared/),
    ]);
    expect(server.log()).toContain('chown: EPERM');
    expect(await readdir(server.repos)).toEqual(['.borgserver']);
    expect(await readdir(join(server.repos, '.borgserver'))).toEqual([]);
  });

  test('the start is refused, too, where the disk is mounted for somebody else', async () => {
    const other = makeExfatDisk();
    try {
      other.mount(server.repos, { uid: 0, gid: 0, umask: '022' });
      await server.start(SHARED, { ready: false });
      expect(await server.ended()).not.toBe(0);
      expect(server.log()).toMatch(/mount it for 1500:1600 \(options uid=1500,gid=1600,umask=007/);
    } finally {
      other.remove();
    }
  });

  test('with IDENTITIES=shared it starts, and says at once and in status what that means', async () => {
    await server.start(SHARED);
    expect(server.log()).toContain(SENTENCE);
    client = await createClient(server);
    mallory = await createClient(server);
    for (const [path, by] of [
      ['repos/web01', client],
      ['repos-appendonly/vault', client],
      ['repos/mallory', mallory],
      ['repos/sub', mallory],
    ] as const)
      await writeKeyFile(server, path, by.key);
    await writeFile(join(server.sshkeys, 'repos/sub'), `# borgserver: sub-repositories=yes\n${mallory.key.public}\n`);
    admin = await createClient(server);
    await grant(server, 'admins/alice', admin.key);
    expect(await server.exec(['update-borgusers'])).toMatchObject({ exitCode: 0 });
    expect((await server.exec(['borgserver', 'status'])).stdout).toContain(SENTENCE);
    const passwd = (await server.look(['cat', '/var/lib/extrausers/passwd'])).stdout.split('\n').filter(Boolean);
    expect(passwd.map((line) => line.split(':').slice(0, 4).join(':'))).toEqual([
      ...['alice:x:1500:1600', 'mallory:x:1500:770', 'sub:x:1500:773', 'vault:x:1500:771', 'web01:x:1500:770'],
    ]);
  });

  test('a repository works as everywhere: init, create, list, extract, prune, compact, check, delete', async () => {
    const url = client.url('web01');
    const home = { cwd: client.home };
    await mkdir(join(client.home, 'documents'));
    await client.borg(['init', '--encryption', 'repokey-blake2', url]);
    for (const archive of ['one', 'two']) {
      await writeFile(join(client.home, 'documents', archive), randomBytes(3_000_000));
      await client.borg(['create', `${url}::${archive}`, 'documents'], home);
    }
    expect((await client.borg(['list', '--short', url])).stdout).toBe('one\ntwo\n');
    await mkdir(join(client.home, 'restored'));
    await client.borg(['extract', `${url}::two`], { cwd: join(client.home, 'restored') });
    for (const archive of ['one', 'two'])
      expect(await readFile(join(client.home, 'restored/documents', archive))).toEqual(
        await readFile(join(client.home, 'documents', archive)),
      );
    await client.borg(['prune', '--keep-last', '1', url]);
    await client.borg(['compact', url]);
    await client.borg(['check', url]);
    expect((await client.borg(['list', '--short', url])).stdout).toBe('two\n');
    await client.borg(['delete', url], { env: { BORG_DELETE_I_KNOW_WHAT_I_AM_DOING: 'YES' } });
    await client.borg(['init', '--encryption', 'repokey-blake2', url]);
    await client.borg(['create', `${url}::again`, 'documents'], home);
    await mallory.borg(['init', '--encryption', 'repokey-blake2', mallory.url('mallory')]);
  });

  test('each name has its own role: append-only keeps all, an admin opens every repository', async () => {
    const url = client.url('vault');
    await client.borg(['init', '--encryption', 'repokey-blake2', url]);
    await client.borg(['create', `${url}::kept`, 'documents'], { cwd: client.home });
    const before = await contents(join(server.repos, 'vault/data'));
    await client.borg(['delete', `${url}::kept`]);
    await client.borg(['compact', url]);
    const after = await contents(join(server.repos, 'vault/data'));
    for (const [file, digest] of before) expect(after.get(file)).toBe(digest);
    for (const repository of ['web01', 'vault']) {
      const listed = await admin.borg(['list', '--short', admin.url('alice', repository)], {
        env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
      });
      expect(listed.stdout).toBe(repository === 'web01' ? 'again\n' : '');
    }
  });

  test('no tenant gets further than borg’s restriction: not by a path, not by dots, not by another spelling', async () => {
    const before = await contents(join(server.repos, 'web01'));
    const refused = [
      ...['/repos/web01', '/repos/WEB01', '/repos/web01.', '/repos/mallory/../web01', '/repos/mallory/sub', '/repos'],
      ...['/repos/MALLORY', '/repos/.borgserver', '/repos/.BORGSERVER/borg', '..', '../web01', '/~web01', '~web01'],
      ...['/proc/self/root/repos/web01', '/proc/self/cwd/../web01', '/sshkeys', '/'],
    ];
    for (const [account, paths] of [
      ['mallory', refused],
      ['sub', refused.filter((path) => path !== '/repos/sub')],
    ] as const) {
      for (const create of [false, true]) {
        const calls = paths.map((path) => open(path, { create, make_parent_dirs: create, lock: false }));
        const { stdout } = await mallory.ssh(account, ['borg', 'serve'], { input: requests(...calls), reject: false });
        expect(stdout.match(/exception_class.PathNotAllowed/gs)).toHaveLength(paths.length);
        expect(stdout).not.toMatch(/exception_class.(?!PathNotAllowed)/s);
      }
    }
    const listed = await mallory.borg(['list', mallory.url('mallory', 'web01')], { reject: false });
    expect(listed).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Repository path not allowed') });
    for (const words of [['cat', '/repos/web01/config'], ['sh'], []])
      expect(await mallory.ssh('mallory', words, { reject: false })).toMatchObject({ exitCode: 1, stdout: '' });
    expect(await contents(join(server.repos, 'web01'))).toEqual(before);
  });

  test('a tenant does not learn from the links in /proc of another session whose session it is, although the user id is the same', async () => {
    const session = client.ssh('web01', ['borg', 'serve'], { input: 'pipe', reject: false });
    try {
      session.stdin?.write(requests(open('/repos/web01', { lock: false })));
      const pid = await until('the session of web01', () => sessionOf(server, 'web01'));
      // mallory's own session has the same user id and the role's group, and may read this.
      const { stdout: gid } = await server.exec(['sh', '-c', `sed -n 's/^Gid:.//p' /proc/${pid}/status | cut -f 1`]);
      const asTenant = ['setpriv', '--reuid', '1500', '--regid', gid.trim(), '--clear-groups'];
      const { stdout: seen } = await server.exec([...asTenant, 'readlink', `/proc/${pid}/cwd`]);
      expect(seen.trim()).toBe('/repos/web01');
      const links = ['cwd', 'cwd/config', 'root', 'fd/0'].map((link) => open(`/proc/${pid}/${link}`));
      const input = requests(...links);
      const { stdout } = await mallory.ssh('mallory', ['borg', 'serve'], { input, reject: false });
      expect(stdout.match(/exception_class.PathNotAllowed/gs)).toHaveLength(links.length);
      expect(stdout).not.toContain('web01');
    } finally {
      session.stdin?.end();
      await session;
    }
  });

  test('a name that only differs in case gets no folder of its own, and no other account’s folder', async () => {
    await writeKeyFile(server, 'repos/Web01', mallory.key);
    const told = await server.exec(['update-borgusers'], { reject: false });
    expect(told).toMatchObject({
      exitCode: 1,
      stdout: expect.stringContaining('another spelling of this name is there'),
    });
    const login = await mallory.ssh('Web01', ['borg', 'serve'], {
      input: requests(open('/repos/Web01')),
      reject: false,
    });
    expect(login).toMatchObject({ exitCode: 255, stdout: '' });
    await rm(join(server.sshkeys, 'repos/Web01'));
    expect(await server.exec(['update-borgusers'])).toMatchObject({ exitCode: 0 });
  });

  test('a quota of a key file counts for its account alone', async () => {
    await writeFile(join(server.sshkeys, 'repos/mallory'), `# borgserver: quota=10M\n${mallory.key.public}\n`);
    await updated(server);
    await writeFile(join(client.home, 'film'), randomBytes(14_000_000));
    const create = (by: Client, account: string) =>
      by.borg(['create', `${by.url(account)}::film`, join(client.home, 'film')], { reject: false });
    expect(await create(client, 'web01')).toMatchObject({ exitCode: 0 });
    expect(await create(mallory, 'mallory')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('The storage quota (10.00 MB)'),
    });
  });

  test('a revocation ends the sessions of its account, and of no other', async () => {
    const [one, other] = [await client.newKey(), await client.newKey()];
    await writeKeyFile(server, 'repos/web02', one);
    await grant(server, 'repos/web03', other);
    const gone = [
      await connected(server, client, 'web02', one),
      await connected(server, client, 'web02', one, { flags: [], words: ['borg', 'serve'] }),
    ];
    const kept = [
      await connected(server, client, 'web03', other),
      await connected(server, client, 'web03', other, { flags: [], words: ['borg', 'serve'] }),
    ];
    await rm(join(server.sshkeys, 'repos/web02'));
    await updated(server);
    for (const connection of gone) await connection.ended();
    expect((await sessionsOf(server)).map(({ account }) => account)).toEqual(['web03', 'web03']);
    expect(kept.map((connection) => connection.over())).toEqual([false, false]);
    await rm(join(server.sshkeys, 'repos/web03'));
    await updated(server);
    for (const connection of kept) await connection.ended();
  });

  test('borg on the server runs as PUID, and status tells by name who holds a lock', async () => {
    const env = { BORG_PASSPHRASE: 'borgserver' };
    expect((await server.exec(['with-lock', 'web01', 'id', '-u'])).stdout.trim()).toBe('1500');
    expect((await server.exec(['list', '--short', 'web01'], { env })).stdout).toContain('again');
    const lock = await holdLock(server, client, 'web01', client.url('web01'));
    // status exits with 1: the marks of accounts that were refused before stay until a later session of theirs has ended well.
    const status = JSON.parse((await server.exec(['borgserver', 'status', '--json'], { reject: false })).stdout);
    expect(status.server.identities).toBe('shared');
    const row = status.repositories.find(({ name }: { name: string }) => name === 'web01');
    expect(row.locks[0].by).toMatch(/^web01 from /);
    expect(row.marks.map(({ code }: { code: string }) => code)).not.toContain('wrong-owner');
    await lock.release();
    const doctor = await server.exec(['borgserver', 'doctor'], { reject: false });
    expect(doctor.stdout).toMatch(/WARNING +owners +IDENTITIES=shared/);
    expect(doctor.stdout).not.toMatch(/ERROR +owners/);
  });

  test('after a power cut the old locks are removed, and the disk is still used', async () => {
    const lock = await holdLock(server, client, 'web01', client.url('web01'));
    await server.kill();
    await lock.release().catch(() => {});
    expect(existsSync(join(server.repos, 'web01/lock.exclusive'))).toBe(true);
    await server.start();
    expect(server.log()).toContain('removed a lock that a dead server left behind');
    expect((await client.borg(['list', '--short', client.url('web01')])).stdout).toContain('again');
  });
});

describe('on a disk with owners', () => {
  let server: Server;
  let client: Client;

  beforeAll(async () => {
    server = await startServer({ env: { PUID: '1500', PGID: '1600' } });
    client = await createClient(server);
    await grant(server, 'repos/web01', client.key);
    await client.borg(['init', '--encryption', 'repokey-blake2', client.url('web01')]);
  });

  afterAll(async () => {
    await client?.cleanup();
    await server?.cleanup();
  });

  test('a change to shared identities changes the owners of all files, and the change back gives them the same uid as before', async () => {
    const folder = join(server.repos, 'web01');
    const owners = async () => new Set((await ownerships(folder)).map(({ uid, gid }) => `${uid}:${gid}`));
    const { uid } = statSync(folder);
    const list = async () => {
      await client.borg(['create', `${client.url('web01')}::${randomBytes(4).toString('hex')}`, '.ssh'], {
        cwd: client.home,
      });
      return client.borg(['list', '--short', client.url('web01')]);
    };
    await server.start({ ...SHARED });
    expect(await list()).toMatchObject({ exitCode: 0 });
    expect(await owners()).toEqual(new Set(['1500:1600']));
    expect(server.log()).toContain(SENTENCE);
    await server.start({ PUID: '1500', PGID: '1600' });
    await until('the folder to be handed over', () => statSync(folder).uid === uid);
    expect(await list()).toMatchObject({ exitCode: 0 });
    expect(await owners()).toEqual(new Set([`${uid}:${uid}`]));
  });
});
