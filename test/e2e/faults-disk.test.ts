import { appendFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient, type Key } from './harness/client.ts';
import { makeFailingDisk } from './harness/failing-disk.ts';
import { IMAGE } from './harness/image.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { letIn, letsIn, lockedOut } from './harness/logging-in.ts';
import { BASE_ENVIRONMENT, makeData, until } from './harness/machine.ts';
import { PATIENCE_SECONDS } from './harness/patience.ts';
import { run } from './harness/program.ts';
import { onlyOn, type Server, startServer } from './harness/server.ts';
import { connected } from './harness/sessions.ts';
import { fill, mountSmall, unmount } from './harness/small-disk.ts';

const update = (server: Server) => server.exec(['update-borgusers'], { reject: false });

describe('a full disk of the server’s own state', () => {
  let server: Server;
  let client: Client;
  let other: Key;

  beforeAll(async () => {
    server = await startServer();
    client = await createClient(server);
    other = await client.newKey();
  });
  afterAll(async () => {
    await client?.cleanup();
    await server?.cleanup();
  });

  test.each([
    ['/run', ['/run']],
    ['the account database', ['/var/lib/extrausers']],
  ])(
    '%s: what was removed lets nobody in, sessions of others go on, and all is right once there is space',
    async (where, places) => {
      const name = (what: string) => `${what}-${places.length}${where.length}`;
      const [gone, loses, narrows, stays] = ['gone', 'loses', 'narrows', 'stays'].map(name) as [
        string,
        string,
        string,
        string,
      ];
      await writeKeyFile(server, `repos/${gone}`, client.key);
      await writeKeyFile(server, `repos/${loses}`, client.key, other);
      await writeKeyFile(server, `repos/${narrows}`, client.key);
      await grant(server, `repos/${stays}`, client.key);
      const leaving = await connected(server, client, gone, client.key);
      const staying = await connected(server, client, stays, client.key);
      const full = await Promise.all(places.map((place) => fill(server, place)));

      await rm(join(server.sshkeys, 'repos', gone));
      await writeKeyFile(server, `repos/${loses}`, other);
      await rm(join(server.sshkeys, 'repos', narrows));
      await writeKeyFile(server, `repos-appendonly/${narrows}`, client.key);
      await appendFile(join(server.sshkeys, 'repos', stays), `${other.public}\n`);
      await writeKeyFile(server, `repos/${name('new')}`, client.key);
      const { stdout, exitCode } = await update(server);
      expect(exitCode).toBe(3);
      expect(stdout).toMatch(/FAILED.*ENOSPC.*remedy: free space there/);
      await leaving.ended();
      for (const account of [gone, loses]) expect(await letsIn(client, account)).toBe(false);
      // The account may be closed. If it is open, it has its new role.
      if (await letsIn(client, narrows))
        expect((await server.exec(['id', '-gn', narrows])).stdout.trim()).toBe('borg-appendonly');
      expect(await letsIn(client, stays)).toBe(true);
      expect(staying.over()).toBe(false);

      await Promise.all(full.map(({ free }) => free()));
      expect((await update(server)).exitCode).toBe(0);
      for (const account of [narrows, stays, name('new')]) await letIn(client, account);
      expect(await letsIn(client, loses, other)).toBe(true);
      expect(await letsIn(client, stays, other)).toBe(true);
      for (const account of [gone, loses]) expect(await letsIn(client, account)).toBe(false);
      expect((await server.exec(['id', '-gn', narrows])).stdout.trim()).toBe('borg-appendonly');
      expect(staying.over()).toBe(false);
      staying.ssh.kill();
    },
  );
});

onlyOn('container', () => {
  test.each(['4k', '16k'])('with a /run of %s the start is refused, and says what is full', async (size) => {
    const { sshkeys, repos, remove } = await makeData();
    try {
      const options = ['--rm', '--init', '--read-only', '--tmpfs', `/run:size=${size},mode=0755`, '--tmpfs', '/tmp'];
      const binds = ['-v', `${sshkeys}:/sshkeys`, '-v', `${repos}:/repos`];
      const words = [
        'run',
        ...options,
        ...binds,
        '--entrypoint',
        'timeout',
        IMAGE,
        PATIENCE_SECONDS,
        'borgserver',
        'sshd',
      ];
      const { exitCode, stdout, stderr } = await run('docker', words, BASE_ENVIRONMENT, { reject: false });
      expect(exitCode).toBe(1);
      const refusals = (stdout + stderr).split('\n').filter((line) => line.includes('cannot start'));
      expect(refusals).toEqual([expect.stringMatching(/"\/run\/borgserver\/.*ENOSPC.*free space there/)]);
    } finally {
      await remove();
    }
  });
});

// The engine may see other mounts than the tests do.
onlyOn('namespace', () => {
  const mounted: string[] = [];
  let server: Server | undefined;
  let client: Client | undefined;
  const small = (folder: string, kibibytes: number): void => {
    mountSmall(folder, kibibytes);
    mounted.push(folder);
  };
  afterEach(async () => {
    await client?.cleanup();
    await server?.kill();
    for (const folder of mounted.splice(0)) unmount(folder);
    await server?.cleanup();
    [server, client] = [undefined, undefined];
  });

  test('a disk that turns read-only is reported everywhere with its cure, and clients restore without a lock', async () => {
    const disk = makeFailingDisk();
    try {
      const running = await startServer({ prepare: ({ repos }) => disk.mount(repos) });
      server = running;
      const someone = await createClient(running);
      client = someone;
      await writeKeyFile(running, 'repos-appendonly/db01', someone.key);
      await grant(running, 'repos/web01', someone.key);
      await writeFile(join(someone.home, 'file'), 'precious');
      const inHome = { cwd: someone.home, reject: false } as const;
      for (const name of ['web01', 'db01']) {
        await someone.borg(['init', '--encryption', 'repokey', someone.url(name)]);
        await someone.borg(['create', `${someone.url(name)}::a`, 'file'], inHome);
      }
      expect((await running.exec(['borgserver', 'healthcheck'])).stdout).toBe('healthy\n');
      disk.fail();
      for (const name of ['web01', 'db01']) {
        for (const words of [
          ['list', someone.url(name)],
          ['create', `${someone.url(name)}::b`, 'file'],
        ]) {
          const refused = await someone.borg(words, inHome);
          expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--bypass-lock') });
          expect(refused.stderr).not.toContain('Traceback');
        }
        expect((await someone.borg(['list', '--bypass-lock', someone.url(name)], inHome)).stdout).toMatch(/^a /);
        await rm(join(someone.home, 'file'));
        expect((await someone.borg(['extract', '--bypass-lock', `${someone.url(name)}::a`], inHome)).exitCode).toBe(0);
        expect(await readFile(join(someone.home, 'file'), 'utf8')).toBe('precious');
      }
      const told = async (...words: readonly string[]) => running.exec(words, { reject: false });
      expect(await told('borgserver', 'healthcheck')).toMatchObject({
        exitCode: 1,
        stdout: expect.stringContaining('read-only'),
      });
      expect(await told('borgserver', 'status')).toMatchObject({
        exitCode: 1,
        stdout: expect.stringContaining('/repos is READ-ONLY'),
      });
      expect((await told('borgserver', 'doctor')).stdout).toMatch(
        /ERROR +disk .*read-only[\s\S]*cure: see the host’s kernel log/,
      );
      expect((await told('update-borgusers')).stdout).toContain('[repositories-read-only]');
      await until('the log to tell it', () => /repositories-read-only.*fsck/.test(running.log()));
      // A key that is removed is revoked all the same.
      await rm(join(running.sshkeys, 'repos/web01'));
      await lockedOut(someone, 'web01');
      await running.stop();
      await running.start(undefined, { ready: false });
      expect(await running.ended()).not.toBe(0);
      expect(running.log()).toMatch(/cannot start.*fsck/);
      // Nobody can restore from a server that does not run. So the log must not advise it.
      expect(running.log()).not.toMatch(/cannot start.*restore/);
    } finally {
      await server?.kill();
      disk.remove();
    }
  });

  test('a full disk of the repositories stops backups, but no login, no revocation and no new start', async () => {
    const running = await startServer({ prepare: ({ repos }) => small(repos, 8192) });
    server = running;
    client = await createClient(running);
    await grant(running, 'repos/web01', client.key);
    await grant(running, 'repos/gone', client.key);
    await client.borg(['init', '--encryption', 'none', client.url('web01')]);
    const filler = join(running.repos, 'filler');
    await writeFile(filler, Buffer.alloc(16_000_000)).catch(() => {});
    await rm(join(running.sshkeys, 'repos/gone'));
    await writeKeyFile(running, 'repos/new', client.key);
    const { stdout, exitCode } = await update(running);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/identities\.json: .*ENOSPC/);
    expect(stdout).toMatch(/cure: see that \/repos has space/);
    await lockedOut(client, 'gone');
    expect(await letsIn(client, 'web01')).toBe(true);
    expect(await letsIn(client, 'new')).toBe(false);
    const backup = await client.borg(['create', `${client.url('web01')}::full`, '-'], {
      input: Buffer.alloc(100_000, 'x'),
      reject: false,
    });
    expect(backup.exitCode).toBe(2);
    expect(backup.stderr).toMatch(/No space left|not enough free space|InsufficientFreeSpace/i);
    const ended = /session closed .*"account":"web01".*"ended":"no space left on the disk"/;
    await until('the log to say how it ended', () => ended.test(running.log()));
    const told = () => running.exec(['borgserver', 'status'], { reject: false });
    const FAILED = /^! +web01 .*FAILED .* ago: no space left on the disk/m;
    expect(await told()).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(FAILED) });

    await running.start();
    expect(await letsIn(client, 'web01')).toBe(true);
    expect(running.log()).toMatch(/identities\.json/);
    expect((await told()).exitCode).toBe(1);
    await rm(filler);
    await update(running);
    await letIn(client, 'new');
    await client.borg(['create', `${client.url('web01')}::space`, '/etc/hostname']);
    await until('the mark to go', async () => !FAILED.test((await told()).stdout));
  });

  test('without space for a single host key the start is refused in a clear sentence, and space for one key is enough', async () => {
    let host = '';
    const running = await startServer({
      ready: false,
      prepare: async ({ sshkeys }) => {
        host = join(sshkeys, 'host');
        await mkdir(host);
        small(host, 4);
      },
    });
    server = running;
    expect(await running.ended()).toBe(1);
    expect(running.log()).toMatch(/there is no host key/);
    expect(running.log()).toMatch(/No space left on device/);
    unmount(mounted.pop() ?? '');
    small(host, 12);
    await running.start();
    const keys = (await readdir(host)).filter((name) => name.startsWith('ssh_host_'));
    expect(keys.sort()).toEqual(['ssh_host_ed25519_key', 'ssh_host_ed25519_key.pub']);
    client = await createClient(running);
    await grant(running, 'repos/web01', client.key);
    await until('the login', () => letsIn(client as Client, 'web01'));
  });
});
