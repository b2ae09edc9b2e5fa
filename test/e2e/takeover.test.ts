import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { letIn, letsIn } from './harness/logging-in.ts';
import { BASE_ENVIRONMENT, until } from './harness/machine.ts';
import { run } from './harness/program.ts';
import { ownerships } from './harness/repository-files.ts';
import { type Server, startServer } from './harness/server.ts';
import { updated } from './harness/updated.ts';

let server: Server;
let client: Client;
afterAll(async () => {
  await client?.cleanup();
  await server?.cleanup();
});

const BORG = {
  ...BASE_ENVIRONMENT,
  BORG_PASSPHRASE: 'borgserver',
  BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
};
const MOVED = { env: { BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' } };
const uidOf = async (name: string) => (await stat(join(server.repos, name))).uid;
const archives = async (account: string, repository = account, options = {}) =>
  (await client.borg(['list', '--short', client.url(account, repository)], options)).stdout;

test("another image's repositories and keys are taken over: everything of uid 1000, all keys in clients/", async () => {
  const names = ['web01', 'web02', 'db01.example.org'];
  server = await startServer({
    prepare: async ({ sshkeys, repos }) => {
      await mkdir(join(sshkeys, 'clients'));
      for (const name of names) {
        await writeFile(join(sshkeys, 'clients', name), 'later\n');
        await run('borg', ['init', '--encryption', 'repokey', join(repos, name)], {
          ...BORG,
          BORG_BASE_DIR: join(sshkeys, '.borg'),
        });
        await run('borg', ['create', `${join(repos, name)}::years-ago`, '/etc/hostname'], {
          ...BORG,
          BORG_BASE_DIR: join(sshkeys, '.borg'),
        });
      }
      await rm(join(sshkeys, '.borg'), { recursive: true });
      await run('chown', ['-R', '1000:1000', repos], BASE_ENVIRONMENT);
      await run('chmod', ['-R', 'go=', repos], BASE_ENVIRONMENT);
    },
  });
  client = await createClient(server);
  expect(server.log()).toMatch(/unexpected-entry.*\/sshkeys\/clients/);
  expect(await uidOf('web01')).toBe(1000);

  // The recipe: move the key files to where they say what a client may do.
  for (const name of names) await writeKeyFile(server, `clients/${name}`, client.key);
  await run('sh', ['-c', 'mv clients/* repos/ && rmdir clients'], BASE_ENVIRONMENT, { cwd: server.sshkeys });
  await updated(server);

  // Each moved file causes an update. It may have interrupted this one, and goes on with what this one has begun.
  await until('all to be handed over', async () => !(await Promise.all(names.map(uidOf))).includes(1000));
  const uids = await Promise.all(names.map(uidOf));
  expect(new Set(uids).size).toBe(names.length);
  for (const [index, name] of names.entries()) {
    const uid = uids[index];
    expect(uid).toBeGreaterThanOrEqual(10_000);
    const files = await ownerships(join(server.repos, name));
    expect(files.filter((file) => file.uid !== uid || file.gid !== uid)).toEqual([]);
    expect(files.filter((file) => file.kind === 'folder' && file.mode !== '2770')).toEqual([]);
    await client.borg(['create', `${client.url(name)}::today`, '/etc/hostname'], MOVED);
    expect(await archives(name)).toBe('years-ago\ntoday\n');
  }
  // Each moved file causes an update. It interrupts the update before it, and goes on with what that one has begun.
  const ADOPTED = /repository-adopted.*"web01".*1000:1000|adoption-interrupted.*"\/repos\/web01"/;
  await until('the log to say it', () => ADOPTED.test(server.log()));
});

test('a repository is renamed by moving its folder and its key file: same uid, same data', async () => {
  const uid = await uidOf('web02');
  await rename(join(server.repos, 'web02'), join(server.repos, 'shop'));
  await rename(join(server.sshkeys, 'repos/web02'), join(server.sshkeys, 'repos/shop'));
  await letIn(client, 'shop');
  await updated(server);
  expect(await uidOf('shop')).toBe(uid);
  expect(await letsIn(client, 'web02')).toBe(false);
  // borg asks whether the repository was moved, and does not go on without an answer.
  const asked = await client.borg(['create', `${client.url('shop')}::never`, '/etc/hostname'], { reject: false });
  expect(asked.exitCode).not.toBe(0);
  await client.borg(['create', `${client.url('shop')}::renamed`, '/etc/hostname'], MOVED);
  expect(await archives('shop')).toBe('years-ago\ntoday\nrenamed\n');
});

test('nothing is lost either where the key file is renamed first, and the server looks in between', async () => {
  const uid = await uidOf('shop');
  await rename(join(server.sshkeys, 'repos/shop'), join(server.sshkeys, 'repos/store'));
  await letIn(client, 'store');
  // Meanwhile the account has got an empty folder of its own. The old folder takes its place, in one step: a pass may make the folder anew at any time.
  await run('mv', ['-T', 'shop', 'store'], BASE_ENVIRONMENT, { cwd: server.repos });
  await updated(server);
  await client.borg(['create', `${client.url('store')}::again`, '/etc/hostname'], MOVED);
  expect(await archives('store')).toBe('years-ago\ntoday\nrenamed\nagain\n');
  const files = await ownerships(join(server.repos, 'store'));
  expect(new Set(files.map((file) => file.uid)).size).toBe(1);
  expect(uid).toBeGreaterThanOrEqual(10_000);
});

test('append-only repositories are pruned from an admin machine, and the client goes on', async () => {
  await grant(server, 'repos-appendonly/safe', client.key);
  await client.borg(['init', '--encryption', 'repokey', client.url('safe')]);
  for (const archive of ['a1', 'a2', 'a3']) {
    await client.borg(['create', `${client.url('safe')}::${archive}`, '/etc/hostname', '/usr/bin/ssh']);
  }
  const admin = await createClient(server);
  try {
    await grant(server, 'admins/ops', admin.key);
    const url = admin.url('ops', 'safe');
    await admin.borg(['prune', '--keep-last', '1', url]);
    await admin.borg(['compact', '--cleanup-commits', url]);
    expect((await admin.borg(['check', url])).exitCode).toBe(0);
  } finally {
    await admin.cleanup();
  }
  await client.borg(['create', `${client.url('safe')}::a4`, '/etc/hostname']);
  expect(await archives('safe')).toBe('a3\na4\n');
  const files = await ownerships(join(server.repos, 'safe'));
  const group = files[0]?.gid;
  expect(files.filter((file) => file.gid !== group)).toEqual([]);
  expect(files.filter((file) => file.kind === 'file' && file.mode !== '660')).toEqual([]);
});

test('moved to new hardware with cp -a, uids, host keys and backups are the same', async () => {
  const names = (await readdir(server.repos)).filter((name) => !name.startsWith('.'));
  const owners = async (repos: string) => Promise.all(names.map(async (name) => (await stat(join(repos, name))).uid));
  const before = await owners(server.repos);
  const hostKey = (sshkeys: string) => readFile(join(sshkeys, 'host/ssh_host_ed25519_key'), 'utf8');
  await server.stop();
  const moved = await startServer({
    port: server.port,
    prepare: async ({ sshkeys, repos }) => {
      for (const [from, to] of [
        [server.sshkeys, sshkeys],
        [server.repos, repos],
      ] as const) {
        await run('cp', ['-a', '--', `${from}/.`, to], BASE_ENVIRONMENT);
      }
    },
  });
  try {
    expect(await owners(moved.repos)).toEqual(before);
    expect(await hostKey(moved.sshkeys)).toBe(await hostKey(server.sshkeys));
    expect(moved.log()).not.toMatch(/repository-(adopted|repaired|created)/);
    // To the client it is the same host with the same key: neither ssh nor borg asks anything.
    await client.borg(['create', `${client.url('web01')}::on-new-hardware`, '/etc/hostname']);
  } finally {
    await moved.cleanup();
  }
});
