import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Client } from './harness/client.ts';
import { holdLock, locksLeft, waitingForLock } from './harness/held-lock.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { anotherClient, client as host, ownServer, server } from './harness/own-server.ts';

let operator: Client;

ownServer({}, async () => {
  operator = await anotherClient();
  await writeKeyFile(server, 'repos/web01', host.key);
  await grant(server, 'admins/ops', operator.key);
  for (const { home } of [host, operator]) {
    await mkdir(join(home, 'documents'));
    await writeFile(join(home, 'documents/letter'), 'a letter');
  }
  await host.borg(['init', '--encryption', 'repokey-blake2', host.url('web01')]);
});

type Side = { readonly client: Client; readonly url: string };
const account = (): Side => ({ client: host, url: host.url('web01') });
const admin = (): Side => ({ client: operator, url: operator.url('ops', 'web01') });

const hold = ({ client, url }: Side) => holdLock(server, client, 'web01', url);
const create = ({ client, url }: Side, archive: string, lockWait: number) =>
  client.borg(['--lock-wait', String(lockWait), 'create', `${url}::${archive}`, 'documents'], {
    cwd: client.home,
    reject: false,
  });
const lockFiles = async () => (await locksLeft(server, 'web01')).filter((name) => name.startsWith('lock.exclusive'));

describe.for([
  ['the account', 'the admin', account, admin],
  ['the admin', 'the account', admin, account],
] as const)('while %s works, %s', ([holderName, , holder, other]) => {
  test('waits for the lock, and gets it', async () => {
    const held = await hold(holder());
    const waiting = create(other(), `after-${holderName.replace(' ', '-')}`, 60);
    await waitingForLock(server, 'web01');
    expect((await held.release()).exitCode).toBe(0);
    const waited = await waiting;
    expect(waited.stderr).toBe('');
    expect(waited.exitCode).toBe(0);
    expect(await lockFiles()).toEqual([]);
  });

  test('is told of the lock when it will not wait', async () => {
    const held = await hold(holder());
    const refused = await create(other(), 'never', 1);
    expect(refused.stderr).toMatch(/Failed to create\/acquire the lock .*\(timeout\)/);
    expect(refused.stderr).not.toMatch(/Permission|Traceback/);
    expect(refused.exitCode).toBe(2);
    expect((await held.release()).exitCode).toBe(0);
  });

  test('removes the lock of a session that was killed', async () => {
    const held = await hold(holder());
    await server.exec(['sh', '-c', 'kill -KILL "$0"', String(held.pid)]);
    await held.release();
    // The process is gone, and its lock is still there.
    expect(await lockFiles()).toEqual(['lock.exclusive']);
    const next = await create(other(), `killed-${holderName.replace(' ', '-')}`, 20);
    expect(next.stderr).toMatch(/Killed stale lock|^$/);
    expect(next.exitCode).toBe(0);
    expect(await lockFiles()).toEqual([]);
  });

  test('may break the lock', async () => {
    const held = await hold(holder());
    const { client, url } = other();
    await client.borg(['break-lock', url]);
    expect(await lockFiles()).toEqual([]);
    expect((await create(other(), `broken-${holderName.replace(' ', '-')}`, 1)).exitCode).toBe(0);
    await held.release();
  });

  test('frees the lock by being killed itself', async () => {
    const held = await hold(holder());
    held.borg.kill('SIGKILL');
    await until('the lock to go with its client', async () => (await lockFiles()).length === 0);
    expect((await create(other(), `gone-${holderName.replace(' ', '-')}`, 1)).exitCode).toBe(0);
  });
});
