import { appendFile, mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { rewriteInPlace, writeKeyFile } from './harness/key-files.ts';
import { letIn, letsIn, lockedOut } from './harness/logging-in.ts';
import { until } from './harness/machine.ts';
import { client, ownServer, server } from './harness/own-server.ts';
import { startBackup } from './harness/running-backup.ts';

ownServer({ env: { RESYNC_SECONDS: '2' } });

const keyFile = (path: string) => join(server.sshkeys, path);
const update = async () => JSON.parse((await server.exec(['update-borgusers', '--json'], { reject: false })).stdout);

test('keys are added, replaced and removed without a restart, and a backup that runs meanwhile is whole', async () => {
  await writeKeyFile(server, 'repos/busy', client.key);
  await letIn(client, 'busy');
  await client.borg(['init', '--encryption', 'none', client.url('busy')]);
  const backup = await startBackup(server, client, 'busy', 'meanwhile');

  const [first, second] = [await client.newKey(), await client.newKey('ecdsa')];
  await writeKeyFile(server, 'repos/other', first);
  await letIn(client, 'other', first);
  await writeKeyFile(server, 'repos/other', second);
  await lockedOut(client, 'other', first);
  expect(await letsIn(client, 'other', second)).toBe(true);
  await rm(keyFile('repos/other'));
  await lockedOut(client, 'other', second);
  await appendFile(keyFile('repos/busy'), `${first.public}\n`);
  await letIn(client, 'busy', first);
  expect((await server.exec(['update-borgusers'])).exitCode).toBe(0);

  const { exitCode, stderr } = await backup.finish();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(await backup.isWhole()).toBe(true);
});

test('a key file that is truncated and then written again takes nothing away', async () => {
  const [kept, added] = [await client.newKey(), await client.newKey()];
  for (let times = 1; ; times += 1) {
    const account = `edited${times}`;
    await writeKeyFile(server, `repos/${account}`, kept);
    await letIn(client, account, kept);
    const wasShort = await rewriteInPlace(server, `repos/${account}`, kept, added);
    await letIn(client, account, added);
    if (!wasShort && times < 20) continue;
    expect(wasShort).toBe(true);
    expect(server.log()).not.toMatch(new RegExp(`(account|key)-removed.*"${account}"`));
    return;
  }
});

test('a key file that stays empty takes the account away', async () => {
  const key = await client.newKey();
  await writeKeyFile(server, 'repos/emptied', key);
  await letIn(client, 'emptied', key);
  await truncate(keyFile('repos/emptied'));
  await lockedOut(client, 'emptied', key);
  await until('the log to say so', () => /account-removed.*"emptied"/.test(server.log()));
});

test('a role folder that is removed and made again is still looked at, also later', async () => {
  await writeKeyFile(server, 'repos-appendonly/before', client.key);
  await letIn(client, 'before');
  await rm(keyFile('repos-appendonly'), { recursive: true });
  await mkdir(keyFile('repos-appendonly'));
  await writeKeyFile(server, 'repos-appendonly/after', client.key);
  await letIn(client, 'after');
  await lockedOut(client, 'before');
  await writeKeyFile(server, 'repos-appendonly/later', client.key);
  await letIn(client, 'later');
  await rm(keyFile('repos-appendonly/later'));
  await lockedOut(client, 'later');
});

test('a role folder that is gone locks nobody out', async () => {
  await writeKeyFile(server, 'admins/ops', client.key);
  await letIn(client, 'ops');
  await rename(keyFile('admins'), keyFile('.away'));
  await until('the server to notice', () => /folder-missing.*\/sshkeys\/admins/.test(server.log()));
  expect(await letsIn(client, 'ops')).toBe(true);
  await rename(keyFile('.away'), keyFile('admins'));
});

test('a mounted secret changes by the swap of its ..data link', async () => {
  // What the kubelet's atomic writer makes: a folder for each version, ..data leads to one, the files lead through ..data.
  const [old, next] = [await client.newKey(), await client.newKey()];
  const folder = keyFile('repos');
  const version = async (name: string, content: string) => {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'pod'), content);
    await symlink(name, join(folder, '..data_tmp'));
    await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  };
  await version('..2026_01', `${old.public}\n`);
  await symlink('..data/pod', join(folder, 'pod'));
  await letIn(client, 'pod', old);
  await version('..2026_02', `${next.public}\n`);
  await rm(join(folder, '..2026_01'), { recursive: true });
  await letIn(client, 'pod', next);
  await lockedOut(client, 'pod', old);
});

test("editors' leftovers make no accounts and no findings", async () => {
  const { findings } = await update();
  const leftovers = ['web01~', '.web01.swp', 'web01.swp', '#web01#', '.hidden', '.goutputstream-X'];
  for (const name of leftovers) await writeKeyFile(server, `repos/${name}`, client.key);
  const report = await update();
  expect(report.findings).toEqual(findings);
  expect(report.accounts.map(({ name }: { name: string }) => name)).not.toContain('web01');
  for (const name of leftovers) await rm(keyFile(`repos/${name}`));
});

test('moved to repos-appendonly/, a key file is append-only with the same uid', async () => {
  await writeKeyFile(server, 'repos/moved', client.key);
  await letIn(client, 'moved');
  const account = async () => (await update()).accounts.find(({ name }: { name: string }) => name === 'moved');
  const before = await account();
  expect(before.role).toBe('repo');
  await rename(keyFile('repos/moved'), keyFile('repos-appendonly/moved'));
  await until('the role to change', () => /account-changed.*"moved".*role repo becomes append-only/.test(server.log()));
  expect(await account()).toEqual({ ...before, role: 'append-only' });
  await letIn(client, 'moved');
  expect(server.log()).not.toMatch(/account-removed.*"moved"/);
});

test('two hundred files dropped at once are two hundred accounts', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `many${String(index).padStart(3, '0')}`);
  await Promise.all(names.map((name) => writeKeyFile(server, `repos/${name}`, client.key)));
  for (const name of ['many199', 'many000', 'many100']) await letIn(client, name);
  const { stdout } = await server.look(['getent', '-s', 'extrausers', 'passwd', 'many000', 'many100', 'many199']);
  expect(new Set(stdout.split('\n').map((line) => line.split(':')[2])).size).toBe(4);
  await Promise.all(names.map((name) => rm(keyFile(`repos/${name}`))));
  await lockedOut(client, 'many100');
});

test('SIGHUP means: look at once', async () => {
  await server.start({ RESYNC_SECONDS: '86400' });
  await writeKeyFile(server, 'repos/signalled', client.key);
  await letIn(client, 'signalled');
  // Nothing watches the account database, so that only a pass for another reason repairs it.
  await server.exec(['sed', '-i', '/^signalled:/d', '/var/lib/extrausers/passwd']);
  expect(await letsIn(client, 'signalled')).toBe(false);
  await server.exec(['sh', '-c', 'kill -HUP $(cat /proc/1/task/1/children)']);
  await letIn(client, 'signalled');
});

test('by polling, changes are seen without events', async () => {
  await server.start({ RESYNC_SECONDS: '86400', WATCH: 'polling' });
  await writeKeyFile(server, 'repos/polled', client.key);
  await letIn(client, 'polled');
  await rm(keyFile('repos/polled'));
  await lockedOut(client, 'polled');
});
