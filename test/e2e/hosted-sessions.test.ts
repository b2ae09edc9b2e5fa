import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Key } from './harness/client.ts';
import { holdLock } from './harness/held-lock.ts';
import { logged } from './harness/json-log.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { sessionsOf } from './harness/sessions.ts';
import { updated } from './harness/updated.ts';
import { borgsOf } from './isolation/processes.ts';

// What the server does with the sessions of its session host, while the host is well, while it is ill, and when it is gone.

ownServer({ env: { RESYNC_SECONDS: '86400', LOG_FORMAT: 'json', SESSION_HOST: 'yes' } });

const trail = (message: RegExp) => logged(server, message);

/** Finds a host by its title, which it writes when it is about to serve. One program looks at all processes. */
const HOSTS = `
  for each in $(grep -las '^borgserver: session host' /proc/[0-9]*/cmdline); do
    each=\${each%/cmdline}
    echo "\${each#/proc/}"
  done`;
const hostPid = (): Promise<string> =>
  until('the session host', async () => {
    const { stdout } = await server.look(['sh', '-c', HOSTS]);
    return stdout.trim().split('\n')[0] || undefined;
  });
const signal = (name: string, pid: string) => server.exec(['kill', `-${name}`, pid]);
const doctor = async () => {
  const { stdout } = await server.exec(['borgserver', 'doctor', '--json'], { reject: false });
  return JSON.parse(stdout).find(({ topic }: { topic: string }) => topic === 'session host');
};
const env = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
const init = async (account: string, key: Key = client.key): Promise<string> => {
  await grant(server, `repos/${account}`, key);
  const url = client.url(account);
  await client.borg(['init', '-e', 'none', url], { env, key });
  return url;
};
/** Whether each borg that runs for the account is a hosted session. */
const isHosted = async (account: string): Promise<boolean> =>
  (await borgsOf(server, account)).every(({ words }) => words.includes(' --hosted '));

test('a session goes on when its host is killed, still ends with its key, and the next session has another host', async () => {
  const [url, other] = [await init('goes-on'), await init('comes-later')];
  const held = await holdLock(server, client, 'goes-on', url, { env });
  expect(await isHosted('goes-on')).toBe(true);
  expect(await doctor()).toMatchObject({ level: 'ok' });

  await signal('KILL', await hostPid());
  await until('another to serve', () => trail(/the session host runs again/).length === 1);
  expect(trail(/the session host does not run/)).toEqual([expect.objectContaining({ error: 'it ended with SIGKILL' })]);
  expect(await doctor()).toMatchObject({ level: 'ok' });
  // The server still knows the session by its process, which init has adopted. Nothing ends it.
  const { borg } = (await sessionsOf(server)).find(({ account }) => account === 'goes-on') ?? { borg: [] };
  expect(borg).toEqual([held.pid]);
  await client.borg(['list', other], { env });
  expect(trail(/ended/).filter(({ account }) => account === 'goes-on')).toEqual([]);

  await server.exec(['rm', '/sshkeys/repos/goes-on']);
  await updated(server);
  await until('its borg to be gone', async () => (await borgsOf(server, 'goes-on')).length === 0);
  expect((await held.release()).exitCode).not.toBe(0);
  expect((await readdir(join(server.repos, 'goes-on'))).filter((name) => name.startsWith('lock.'))).toEqual([]);
});

test('while the host stands still, a session ends with its key, and gives its lock back', async () => {
  const key = await client.newKey();
  const url = await init('ends', key);
  const held = await holdLock(server, client, 'ends', url, { env, key });
  expect(await isHosted('ends')).toBe(true);
  const host = await hostPid();
  await signal('STOP', host);
  try {
    await writeKeyFile(server, 'repos/ends', client.key);
    await updated(server);
    await until(
      'its lock to be gone',
      async () => !(await readdir(join(server.repos, 'ends'))).includes('lock.exclusive'),
    );
  } finally {
    await signal('CONT', host);
  }
  await until('its borg to be gone', async () => (await borgsOf(server, 'ends')).length === 0);
  expect((await held.release()).exitCode).not.toBe(0);
});

test('doctor reports a host that ends again and again, and sessions are served all the while', async () => {
  const url = await init('served');
  const again = () => trail(/the session host runs again/).length;
  for (let times = again(); again() < 4; times = again()) {
    await signal('KILL', await hostPid());
    await client.borg(['list', url], { env });
    await until('another to serve', () => again() > times);
  }
  expect(await doctor()).toMatchObject({ level: 'warning', message: expect.stringMatching(/^it ended \d+ times/) });
  expect((await server.exec(['borgserver', 'status'], { reject: false })).stdout).toContain(
    'the session host: it ended',
  );
});
