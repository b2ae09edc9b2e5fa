import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { grant } from './harness/key-files.ts';
import { greets, until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { startBackup } from './harness/running-backup.ts';
import { connected } from './harness/sessions.ts';
import { stallLogin } from './harness/stalled-login.ts';

ownServer({ env: { STOP_GRACE_SECONDS: '300', STOP_GRACE_PERIOD: '360s' } }, async () => {
  await grant(server, 'repos/web01', client.key);
  await client.borg(['init', '--encryption', 'none', client.url('web01')]);
});

test('a server that is told to stop lets nobody new in, says whom it waits for, and ends with 0 after the last of them', async () => {
  const backup = await startBackup(server, client, 'web01', 'in-time');
  const stopped = server.stop();
  await until('the log to say whom it waits for', () =>
    /stopping: waiting for running sessions.*"sessions":1,"accounts":"web01","seconds":300/.test(server.log()),
  );
  expect(await greets(server.port)).toBe(false);
  expect((await client.ssh('web01', ['borg', '--version'], { reject: false })).exitCode).toBe(255);
  const health = await server.exec(['borgserver', 'healthcheck'], { reject: false });
  expect({ exitCode: health.exitCode, stdout: health.stdout }).toEqual({
    exitCode: 1,
    stdout: 'the server is stopping\n',
  });
  expect((await backup.finish()).exitCode).toBe(0);
  expect(await stopped).toBe(0);
  expect(server.log()).toMatch(/session closed.*"web01".*"how":"the client (disconnected|closed the connection)"/);
  await server.start({});
  expect(await backup.isWhole()).toBe(true);
});

test('a key that is removed while the server stops ends its session all the same', async () => {
  await server.start({ STOP_GRACE_SECONDS: '300', STOP_GRACE_PERIOD: '360s' });
  const seen = server.log().length;
  const key = await client.newKey();
  await grant(server, 'repos/late', key);
  const session = await connected(server, client, 'late', key);
  const stopped = server.stop();
  await until('the server to wait', () => server.log().slice(seen).includes('waiting for running sessions'));
  await server.exec(['rm', '/sshkeys/repos/late'], { reject: false });
  await session.ended();
  expect(await stopped).toBe(0);
});

test('a client that was just logging in when the server was told to stop gets in, and is no alarm', async () => {
  await server.start({ STOP_GRACE_SECONDS: '300', STOP_GRACE_PERIOD: '360s' });
  const seen = server.log().length;
  const key = await client.newKey();
  const late = await client.newKey();
  await grant(server, 'repos/early', key);
  await grant(server, 'repos/late', late);
  const session = await connected(server, client, 'early', key);
  const stalled = await stallLogin(server, client, 'late', late);
  const stopped = server.stop();
  await until('the server to wait', () => server.log().slice(seen).includes('waiting for running sessions'));
  await stalled.goOn();
  await until('the late one to be in', () => /session opened.*"late"/.test(server.log().slice(seen)));
  session.ssh.kill();
  stalled.ssh.kill();
  expect(await stopped).toBe(0);
  // A key file is empty for a moment while it is written: on a busy machine a pass may read it just then.
  const errors = server
    .log()
    .slice(seen)
    .split('\n')
    .filter((line) => line.includes('ERROR') && !line.includes('ERROR: no-valid-key '));
  expect(errors).toEqual([]);
});

test('a session that outlasts the grace is ended, an idle one too, and no lock is left', async () => {
  await server.start({ STOP_GRACE_SECONDS: '1' });
  const seen = server.log().length;
  const idle = await connected(server, client, 'web01', client.key);
  const backup = await startBackup(server, client, 'web01', 'too-slow');
  expect(await server.stop()).toBe(0);
  expect((await backup.finish()).exitCode).not.toBe(0);
  await idle.ended();
  expect(await readdir(join(server.repos, 'web01'))).not.toContain('lock.exclusive');
  const log = server.log().slice(seen);
  expect(log).toMatch(/stopping: ending the sessions that are left.*"sessions":2/);
  expect(log).not.toContain('killed');
  expect(log.match(/session closed/g)).toHaveLength(2);
});

test('a server that is told to stop a second time ends at once, and cleanly, what still runs', async () => {
  await server.start({ STOP_GRACE_SECONDS: '600', STOP_GRACE_PERIOD: '610s' });
  const seen = server.log().length;
  const log = () => server.log().slice(seen);
  const idle = await connected(server, client, 'web01', client.key);
  const backup = await startBackup(server, client, 'web01', 'hurried');
  const stopped = server.stop();
  await until('the server to wait', () => log().includes('waiting for running sessions'));
  expect([idle.over(), log().includes('ending the sessions')]).toEqual([false, false]);
  // As a second `docker kill --signal TERM` or Ctrl-C: PID 1 hands it to the server.
  await server.exec(['kill', '-TERM', '1']);
  expect(await stopped).toBe(0);
  expect((await backup.finish()).exitCode).not.toBe(0);
  await idle.ended();
  expect(log()).toMatch(/stopping: ending the sessions that are left.*"sessions":2/);
  expect(log()).not.toContain('killed');
  expect(await readdir(join(server.repos, 'web01'))).not.toContain('lock.exclusive');
});
