import { createHash } from 'node:crypto';
import { chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { locksLeft } from './harness/held-lock.ts';
import { IMAGE } from './harness/image.ts';
import { writeKeyFile } from './harness/key-files.ts';
import { BASE_ENVIRONMENT } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { run } from './harness/program.ts';
import { ownerships } from './harness/repository-files.ts';
import { onlyOn } from './harness/server.ts';
import { updated } from './harness/updated.ts';

const env = { BORG_PASSPHRASE: 'borgserver' };

ownServer({}, async () => {
  for (const name of ['web01', 'web02', 'empty']) await writeKeyFile(server, `repos/${name}`, client.key);
  await updated(server);
  await mkdir(join(client.home, 'documents'));
  await writeFile(
    join(client.home, 'documents/bytes'),
    Uint8Array.from({ length: 70_000 }, (_, index) => index % 256),
  );
  for (const name of ['web01', 'web02']) {
    await client.borg(['init', '--encryption', 'repokey', client.url(name)]);
    await client.borg(['create', `${client.url(name)}::first`, 'documents'], { cwd: client.home });
  }
});

const exec = (words: readonly string[], options = {}) => server.exec(words, { env, reject: false, ...options });

/** Whether everything in the account's repository is still the account's, and a client can back up into it. */
const stillWorks = async (name: string, archive: string) => {
  const files = await ownerships(join(server.repos, name));
  const owner = files[0]?.uid;
  expect(owner).toBeGreaterThanOrEqual(10_000);
  expect(files.filter(({ uid, gid }) => uid !== owner || gid !== owner)).toEqual([]);
  const { exitCode, stderr } = await client.borg(['create', `${client.url(name)}::${archive}`, 'documents'], {
    cwd: client.home,
    reject: false,
  });
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
};

describe('a borg command at the server', () => {
  test.for([
    [['borg', 'list', '--short', 'web01']],
    [['list', '--short', 'web01']],
    [['list', '--short', '/repos/web01']],
    [['borgserver', 'borg', 'list', '--short', 'web01']],
  ] as const)('%j lists the archives', async ([words]) => {
    const { exitCode, stdout } = await exec(words);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: 'first\n' });
  });

  test('reads, checks, prunes and compacts as the owner, and the client goes on', async () => {
    for (const words of [
      ['info', 'web01::first'],
      ['check', '--repository-only', 'web01'],
      ['check', 'web01'],
      ['prune', '--keep-last', '1', 'web01'],
      ['compact', 'web01'],
      ['borg', 'key', 'export', 'web01'],
      ['config', 'web01', 'additional_free_space', '10M'],
    ]) {
      const { exitCode, stderr } = await exec(words);
      expect({ words, exitCode, stderr }).toMatchObject({ words, exitCode: 0 });
    }
    await stillWorks('web01', 'after');
  });

  test('never runs as root, and has a cache of its own on the volume', async () => {
    const owner = (await ownerships(join(server.repos, 'web01')))[0]?.uid;
    const { stdout } = await exec([
      'borg',
      'with-lock',
      'web01',
      'sh',
      '-c',
      'id -u; echo "$HOME $BORG_BASE_DIR"; id -G',
    ]);
    const [uid, places = '', groups] = stdout.split('\n');
    expect(uid).toBe(String(owner));
    expect(places).toBe(`/repos/.borgserver/borg/${owner} /repos/.borgserver/borg/${owner}`);
    expect(groups).toBe(String(owner));
    const files = await ownerships(join(server.repos, '.borgserver/borg', String(owner)));
    expect(files.filter(({ uid }) => uid !== owner)).toEqual([]);
  });

  test('breaks a lock that a client left', async () => {
    // The lock is from a host that is not this server. So borg must assume that its owner is alive.
    const lock = join(server.repos, 'web02/lock.exclusive');
    await mkdir(lock);
    await writeFile(join(lock, 'gone@1.12-0'), '');
    const { uid, gid } = await stat(join(server.repos, 'web02'));
    await chown(lock, uid, gid);
    expect((await exec(['list', '--lock-wait', '0', 'web02'])).stderr).toMatch(/Failed to create\/acquire the lock/);
    expect((await exec(['break-lock', 'web02'])).exitCode).toBe(0);
    await stillWorks('web02', 'after-the-lock');
  });

  test('on all has a heading for each, and the worst exit code', async () => {
    const good = await exec(['check', '--repository-only', 'all']);
    expect({ exitCode: good.exitCode, stdout: good.stdout }).toEqual({
      exitCode: 0,
      stdout: '=== web01\n=== web02\n',
    });
    const wrong = await exec(['list', '--short', 'all'], { env: { BORG_PASSPHRASE: 'wrong' } });
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stdout).toBe('=== web01\n=== web02\n');
    await stillWorks('web02', 'after-all');
  });

  test('hands on the exit code', async () => {
    expect((await exec(['list', 'web01::nothing'])).exitCode).toBe(2);
    expect((await exec(['borg', 'with-lock', 'web01', 'sh', '-c', 'exit 33'])).exitCode).toBe(33);
    expect((await exec(['borg', '--nonsense'])).exitCode).toBe(2);
  });

  test.for([
    [['list', 'web1'], /no repository web1 \(near: .*web01/],
    [['check', '/repos/wbe01'], /no repository wbe01/],
    [['borg', 'init', '--encryption', 'none', 'new'], /no repository new/],
    [['borg', 'init', '-e', 'none', '/repos/web01/../other'], /cannot be a repository/],
    [['list', '/etc'], /not below \/repos/],
    [['list', '../etc'], /cannot be a repository/],
    [['list', '.borgserver'], /cannot be a repository/],
    [['list', 'ssh://root@127.0.0.1/repos/web01'], /not on this server/],
    [['list', 'web01/data'], /./],
    [['borg', 'serve'], /./],
    [['borg', 'mount', 'web01', '/mnt'], /./],
    [['borg'], /which borg command/],
  ] as const)('%j is refused in clear words and makes no folder', async ([words, reason]) => {
    const before = (await readdir(server.repos)).sort();
    const { exitCode, stderr } = await exec([...words]);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(reason);
    expect(stderr).not.toMatch(/Traceback/);
    expect((await readdir(server.repos)).sort()).toEqual(before);
    expect(await locksLeft(server, 'web01')).not.toContain('lock.exclusive');
  });

  test('needs no repository to tell its version', async () => {
    expect((await exec(['borg', '--version'])).stdout).toMatch(/^borg 1\.\d/);
  });
});

describe('streams', () => {
  const digest = (text: string) => createHash('sha256').update(text).digest('hex');

  test('carry any bytes both ways', async () => {
    const bytes = Uint8Array.from({ length: 500_000 }, (_, index) => (index * 7919) % 256);
    const echoed = await exec(['sh', '-c', 'sha256sum'], { input: bytes });
    expect(echoed.stdout.split(' ')[0]).toBe(createHash('sha256').update(bytes).digest('hex'));
    const back = await exec(['sh', '-c', 'base64 -w0'], { input: bytes });
    expect(digest(back.stdout)).toBe(digest(Buffer.from(bytes).toString('base64')));
  });

  test('an exported tar has every byte', async () => {
    const { stdout } = await exec(['sh', '-c', 'borg export-tar web01::first - | tar -xO documents/bytes | sha256sum']);
    const bytes = await readFile(join(client.home, 'documents/bytes'));
    expect(stdout.split(' ')[0]).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('an exported key goes in again from standard input', async () => {
    const key = (await exec(['key', 'export', 'web02'])).stdout;
    expect(key).toMatch(/^BORG_KEY [0-9a-f]{64}\n/);
    expect((await exec(['borg', 'key', 'import', 'web02', '-'], { input: key })).exitCode).toBe(0);
    await stillWorks('web02', 'after-the-key');
  });
});

test('other programs run as they are, as root', async () => {
  expect((await exec(['ls', '/repos'])).stdout.split('\n')).toEqual(['empty', 'web01', 'web02', '']);
  expect((await exec(['sh', '-c', 'echo "$1"', 'x', 'a b'])).stdout).toBe('a b\n');
  expect((await exec(['id', '-u'])).stdout).toBe('0\n');
  expect((await exec(['false'])).exitCode).toBe(1);
});

test.for([
  [['sshd', '-f', 'x'], /-f is not taken here/],
  [['sshd', '-D', '-o', 'PermitRootLogin=yes'], /-o PermitRootLogin is not taken here/],
  [['sshd', '-p', '99999'], /SSH_PORT/],
  [['sshd', '-e', 'surplus'], /'surplus' is no argument of sshd/],
] as const)('the entry point refuses %j by name', async ([words, reason]) => {
  const { exitCode, stdout, stderr } = await exec(['borgserver', 'entrypoint', ...words]);
  expect(exitCode).not.toBe(0);
  expect(stdout + stderr).toMatch(reason);
});

onlyOn('container', () =>
  test('docker run understands the same words', async () => {
    const once = (...words: string[]) =>
      run('docker', ['run', '--rm', IMAGE, ...words], BASE_ENVIRONMENT, { reject: false });
    expect((await once('borg', '--version')).stdout).toMatch(/^borg 1\.\d/);
    expect((await once('sh', '-c', 'exit 7')).exitCode).toBe(7);
    expect((await once('sshd', '-f', 'x')).stderr).toContain('-f is not taken here');
  }),
);
