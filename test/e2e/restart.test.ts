import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { holdLock, locksLeft } from './harness/held-lock.ts';
import { IMAGE } from './harness/image.ts';
import { writeKeyFile } from './harness/key-files.ts';
import { letIn } from './harness/logging-in.ts';
import { BASE_ENVIRONMENT, PROJECT } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { run } from './harness/program.ts';
import { startBackup } from './harness/running-backup.ts';
import { onlyOn, startServer } from './harness/server.ts';
import { updated } from './harness/updated.ts';

ownServer({}, async () => {
  for (const name of ['repos/web01', 'repos/web02', 'repos-appendonly/db01']) {
    await writeKeyFile(server, name, client.key);
  }
  await updated(server);
  await client.borg(['init', '--encryption', 'repokey', client.url('web01')]);
});

const create = (archive: string, words: readonly string[] = []) =>
  client.borg([...words, 'create', `${client.url('web01')}::${archive}`, '/etc/hostname'], { reject: false });
const owners = async () =>
  Promise.all(
    ['web01', 'web02', 'db01', 'web01/config'].map(async (name) => (await stat(join(server.repos, name))).uid),
  );
const hostKeys = async () => {
  const folder = join(server.sshkeys, 'host');
  const names = (await readdir(folder)).filter((name) => name.startsWith('ssh_host_'));
  return Promise.all(names.sort().map((name) => readFile(join(folder, name), 'utf8')));
};

test('a server that is removed and made again over the same data has the same uids and host keys, and backups go on', async () => {
  const before = { owners: await owners(), hostKeys: await hostKeys() };
  expect(before.hostKeys).toHaveLength(6);
  expect((await create('before')).exitCode).toBe(0);
  await server.stop();
  await server.start();
  expect({ owners: await owners(), hostKeys: await hostKeys() }).toEqual(before);
  const second = await create('after');
  expect({ exitCode: second.exitCode, stderr: second.stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect((await client.borg(['list', '--short', client.url('web01')])).stdout).toBe('before\nafter\n');
});

test('an account that comes back after a new account has come has its own uid and data again', async () => {
  const before = await owners();
  await rm(join(server.sshkeys, 'repos/web01'));
  await server.stop();
  await writeKeyFile(server, 'repos/between', client.key);
  await server.start();
  await letIn(client, 'between');
  expect(before).not.toContain((await stat(join(server.repos, 'between'))).uid);
  await writeKeyFile(server, 'repos/web01', client.key);
  await letIn(client, 'web01');
  expect(await owners()).toEqual(before);
  expect((await create('back')).exitCode).toBe(0);
});

test('a power cut while locks are held keeps no backup waiting', async () => {
  const held = await holdLock(server, client, 'web01', client.url('web01'));
  await server.kill();
  await held.release();
  expect(await readdir(join(server.repos, 'web01'))).toContain('lock.exclusive');
  await server.start();
  expect(server.log()).toContain('removed a lock that a dead server left behind');
  expect(server.log()).toMatch(new RegExp(`/repos/web01.*${held.name}`));
  expect(await locksLeft(server, 'web01')).not.toContain('lock.exclusive');
  const next = await create('after-the-cut', ['--lock-wait', '0']);
  expect({ exitCode: next.exitCode, stderr: next.stderr }).toEqual({ exitCode: 0, stderr: '' });
});

test('a power cut in the middle of a backup costs that backup and nothing else', async () => {
  const cut = await startBackup(server, client, 'web01', 'cut');
  await server.kill();
  expect((await cut.finish()).exitCode).not.toBe(0);
  await server.start();
  expect((await create('after-the-second-cut', ['--lock-wait', '0'])).exitCode).toBe(0);
  expect((await client.borg(['check', client.url('web01')])).exitCode).toBe(0);
});

test('a server that is told to stop lets a running backup finish within the grace', async () => {
  const backup = await startBackup(server, client, 'web01', 'graceful');
  const stopped = server.stop();
  const { exitCode, stderr } = await backup.finish();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(await stopped).toBe(0);
  await server.start();
  expect(await backup.isWhole()).toBe(true);
});

test('when the grace is over, the session ends, its lock is released, and the next start has nothing to clear', async () => {
  await server.start({ STOP_GRACE_SECONDS: '0' });
  const backup = await startBackup(server, client, 'web01', 'too-slow');
  const seen = server.log().length;
  expect(await server.stop()).toBe(0);
  expect((await backup.finish()).exitCode).not.toBe(0);
  expect(await readdir(join(server.repos, 'web01'))).not.toContain('lock.exclusive');
  await server.start({});
  expect(server.log().slice(seen)).not.toContain('a dead server left behind');
  expect((await create('after-the-stop', ['--lock-wait', '0'])).exitCode).toBe(0);
});

test('a second server on the same repositories is refused, and the first goes on', async () => {
  const second = await startServer({
    ready: false,
    prepare: async ({ repos }) => {
      await rm(repos, { recursive: true });
      await symlink(server.repos, repos);
    },
  });
  try {
    expect(await second.ended()).not.toBe(0);
    expect(second.log()).toMatch(
      /the server cannot start.*another server or a one-shot container uses these repositories/,
    );
    expect((await create('beside')).exitCode).toBe(0);
  } finally {
    await second.cleanup();
  }
});

onlyOn('namespace', () =>
  test('a start on a port that somebody else has for IPv4 is refused, since sshd would be content with IPv6', async () => {
    const other = createServer();
    await once(other.listen(0, '0.0.0.0'), 'listening');
    const { port } = other.address() as AddressInfo;
    const refused = await startServer({ port, ready: false });
    try {
      expect(await refused.ended()).not.toBe(0);
      expect(refused.log()).toMatch(new RegExp(`the server cannot start.*somebody listens on port ${port} already`));
    } finally {
      await refused.cleanup();
      other.close();
    }
  }),
);

onlyOn('namespace', () =>
  test('a second start on the same folder is refused with one sentence', async () => {
    const second = await run(join(PROJECT, 'image/start-without-docker'), [], BASE_ENVIRONMENT, {
      env: { DATA_DIR: join(server.repos, '..') },
      reject: false,
    });
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toMatch(/^[^\n]*a server already runs on [^\n]*\n$/);
  }),
);

onlyOn('container', () =>
  test('a one-shot container beside the running server is refused and names docker exec', async () => {
    const volumes = ['-v', `${server.repos}:/repos`, '-v', `${server.sshkeys}:/sshkeys`];
    for (const words of [
      ['check', '--repository-only', 'web01'],
      ['list', 'all'],
      ['borg', 'break-lock', 'web01'],
    ]) {
      const once = await run('docker', ['run', '--rm', ...volumes, IMAGE, ...words], BASE_ENVIRONMENT, {
        reject: false,
      });
      expect(once.exitCode).toBe(2);
      expect(once.stderr).toContain('docker exec');
    }
    await server.stop();
    const alone = execFileSync('docker', ['run', '--rm', ...volumes, IMAGE, 'check', '--repository-only', 'web01']);
    expect(alone.toString()).toBe('');
    await server.start();
    expect((await create('after-the-one-shot')).exitCode).toBe(0);
  }),
);
