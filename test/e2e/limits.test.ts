import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Client } from './harness/client.ts';
import { holdLock, locksLeft } from './harness/held-lock.ts';
import { grant } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { anotherClient, client, ownServer, server } from './harness/own-server.ts';

let other: Client;

ownServer(
  {
    env: {
      REPO_SERVE_EXTRA_ARGS: '--storage-quota 20M',
      CLIENT_ALIVE_INTERVAL: '2',
      CLIENT_ALIVE_COUNT_MAX: '4',
    },
  },
  async () => {
    other = await anotherClient();
  },
);

test('a client above the quota of its role is told so in borg’s own words, and keeps what it had', async () => {
  await grant(server, 'repos/full', client.key);
  const full = client.url('full');
  const letter = randomBytes(100_000);
  await mkdir(join(client.home, 'documents'));
  await writeFile(join(client.home, 'documents/letter'), letter);
  await client.borg(['init', '--encryption', 'repokey-blake2', full]);
  await client.borg(['create', `${full}::first`, 'documents'], { cwd: client.home });

  await writeFile(join(client.home, 'documents/film'), randomBytes(30_000_000));
  const refused = await client.borg(['create', `${full}::second`, 'documents'], { cwd: client.home, reject: false });
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toMatch(/The storage quota \(20\.00 MB\) has been exceeded/);
  expect(refused.stderr).not.toContain('Traceback');

  expect((await client.borg(['list', '--short', '--consider-checkpoints', full])).stdout).toMatch(/^first$/m);
  await mkdir(join(client.home, 'restored'));
  await client.borg(['extract', `${full}::first`], { cwd: join(client.home, 'restored') });
  expect(await readFile(join(client.home, 'restored/documents/letter'))).toEqual(letter);
});

/** Tries to make each kind of kernel object that outlives its maker; a box (Landlock) stops none of them. Prints what it could make, and removes it. */
const LEAVES_BEHIND = `
import ctypes
c = ctypes.CDLL(None)
made = {
    'memory': (c.shmget(0, ctypes.c_size_t(4096), 0o1600), lambda found: c.shmctl(found, 0, None)),
    'queue': (c.msgget(0, 0o1600), lambda found: c.msgctl(found, 0, None)),
    'semaphore': (c.semget(0, 1, 0o1600), lambda found: c.semctl(found, 0, 0)),
    'POSIX queue': (c.mq_open(b'/borgserver', 0o102, 0o600, None), lambda found: c.mq_unlink(b'/borgserver')),
}
for name, (found, remove) in made.items():
    if found >= 0:
        print(name)
        remove(found)
print('tried')
`;

test('what runs as an account can leave no memory behind when it ends', async () => {
  const become = 'exec setpriv --reuid="$(id -u "$0")" --regid="$(id -g "$0")" --clear-groups "$@"';
  const words = ['sh', '-c', become, 'full', 'python3', '-I', '-c', LEAVES_BEHIND];
  expect((await server.exec(words)).stdout).toBe('tried\n');
});

/** The first process below `pid` with this name. */
const descendant = async (pid: number, name: string): Promise<number | undefined> => {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim();
  for (const child of children.split(' ').filter(Boolean).map(Number)) {
    const called = (await readFile(`/proc/${child}/comm`, 'utf8')).trim();
    if (called === name) return child;
    const deeper = await descendant(child, name);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
};

test('a client that vanished from the network loses its lock, and another one gets in', async () => {
  await grant(server, 'repos/laptop', client.key, other.key);
  const laptop = client.url('laptop');
  await client.borg(['init', '--encryption', 'repokey-blake2', laptop]);
  const held = await holdLock(server, client, 'laptop', laptop);
  const ssh = await until('the ssh of the client', () => descendant(held.borg.pid ?? 0, 'ssh'));

  // A stopped ssh answers nothing any more, not even the end of the connection.
  process.kill(ssh, 'SIGSTOP');
  try {
    await writeFile(join(other.home, 'note'), 'from another host');
    // The promise is 8 s. It would be 20 s if the probe came after twice the interval, as with sshd 9.2.
    await other.borg(['--lock-wait', '17', 'create', `${laptop}::after`, 'note'], { cwd: other.home });
  } finally {
    process.kill(ssh, 'SIGKILL');
    held.borg.kill('SIGKILL');
  }
  expect((await other.borg(['list', '--short', laptop])).stdout).toBe('after\n');
  expect(await locksLeft(server, 'laptop')).not.toContain('lock.exclusive');
});
