import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { logged } from './harness/json-log.ts';
import { grant } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { startBackup } from './harness/running-backup.ts';
import { sessionsOf } from './harness/sessions.ts';
import { updated } from './harness/updated.ts';
import { borgsOf, clientsOf } from './isolation/processes.ts';

const ENV = { RESYNC_SECONDS: '86400', LOG_FORMAT: 'json' };

ownServer({ env: { ...ENV, SESSION_HOST: 'yes' } });

const lines = (message: string) => logged(server, message);

/** The pids of session hosts: processes of this name that root has started. */
const hosts = async (): Promise<readonly number[]> => {
  // One program looks at all processes: a test that waits for a host looks again and again.
  const script = `for each in $(grep -las 'session[ ]host' /proc/[0-9]*/cmdline); do
    folder=\${each%/cmdline}
    grep -qs '^Uid:[^0-9]*0[^0-9]' $folder/status && echo \${folder#/proc/}
  done; true`;
  return (await server.look(['sh', '-c', script])).stdout.split('\n').filter(Boolean).map(Number);
};
const kill = async (signal: string, pid: number) =>
  server.exec(['sh', '-c', `kill -s ${signal} ${pid}`], { reject: false });
const again = async (times: number) =>
  until('the host to run again', () => lines('the session host runs again').length >= times);
const isHosted = async (account: string): Promise<boolean> =>
  (await borgsOf(server, account)).every(({ words }) => words.includes(' --hosted '));

test('a backup is a fork of the host, and the log says what it has used', async () => {
  await grant(server, 'repos/web01', client.key);
  await client.borg(['init', '--encryption', 'none', client.url('web01')]);
  const backup = await startBackup(server, client, 'web01', 'first');
  expect(await borgsOf(server, 'web01')).toHaveLength(1);
  expect(await clientsOf(server, 'web01')).toHaveLength(1);
  expect(await isHosted('web01')).toBe(true);
  const [session] = (await sessionsOf(server)).filter(({ account }) => account === 'web01');
  expect(session?.borg).toEqual((await borgsOf(server, 'web01')).map(({ pid }) => pid));
  expect((await backup.finish()).exitCode).toBe(0);
  expect(await backup.isWhole()).toBe(true);
  const closed = await until('the end of both', () => {
    const found = lines('session closed').filter(({ account }) => account === 'web01');
    return found.length >= 3 ? found : undefined;
  });
  for (const each of closed) {
    expect(Number(each.cpuSeconds)).toBeGreaterThan(0);
    expect(Number(each.peakMemory)).toBeGreaterThan(1_000_000);
  }
});

test('a host that dies ends no backup, whoever comes meanwhile is served, and the host comes back', async () => {
  const backup = await startBackup(server, client, 'web01', 'second');
  const [host] = await hosts();
  await kill('KILL', host ?? 0);
  expect((await client.ssh('web01', ['borg', '--version'])).stdout).toMatch(/^borg 1/);
  await again(1);
  const [next] = await hosts();
  expect(next).not.toBe(host);
  expect(lines('the session host does not run: sessions load borg themselves, which is slower')).toHaveLength(1);
  expect((await backup.finish()).exitCode).toBe(0);
  expect(await backup.isWhole()).toBe(true);
  expect(await borgsOf(server, 'web01')).toEqual([]);
});

test('a key that is taken away ends a session also where its host has died', async () => {
  await grant(server, 'repos/web02', client.key);
  await client.borg(['init', '--encryption', 'none', client.url('web02')]);
  const backup = await startBackup(server, client, 'web02', 'never');
  for (const host of await hosts()) await kill('KILL', host);
  await rm(join(server.sshkeys, 'repos/web02'));
  await updated(server);
  await until('its processes to be gone', async () => (await borgsOf(server, 'web02')).length === 0);
  expect((await backup.finish()).exitCode).not.toBe(0);
  await again(2);
});

const MANY = 16;

test('sessions that begin while the host is killed again and again are all served', async () => {
  await grant(server, 'repos/web03', client.key);
  await client.borg(['init', '--encryption', 'none', client.url('web03')]);
  let over = false;
  const killing = (async () => {
    for (; !over; ) for (const host of await hosts()) await kill('KILL', host);
  })();
  const list = () => client.borg(['list', '--bypass-lock', client.url('web03')], { reject: false });
  const found = [];
  for (let done = 0; done < MANY; done += 4) found.push(...(await Promise.all([list(), list(), list(), list()])));
  over = true;
  await killing;
  expect(found.filter(({ exitCode }) => exitCode !== 0).map(({ stderr }) => stderr)).toEqual([]);
  expect(await borgsOf(server, 'web03')).toEqual([]);
});

test('without the host each session loads borg itself', async () => {
  await server.start({ ...ENV, SESSION_HOST: 'no' });
  expect(await hosts()).toEqual([]);
  const backup = await startBackup(server, client, 'web01', 'cold');
  expect(await borgsOf(server, 'web01')).toHaveLength(1);
  expect(await clientsOf(server, 'web01')).toEqual([]);
  expect((await backup.finish()).exitCode).toBe(0);
});
