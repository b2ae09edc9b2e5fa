import { lchown, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { until } from './harness/machine.ts';
import { open, requests } from './harness/raw-borg.ts';
import { contents } from './harness/repository-files.ts';
import { type Server, startServer } from './harness/server.ts';
import { connected } from './harness/sessions.ts';
import { sessionOf } from './isolation/processes.ts';

// The kernel of this server has no box for borg. All tests use this one server. The first test sees its start refused.

let server: Server;
let client: Client;
let admin: Client;

beforeAll(async () => {
  server = await startServer({ landlock: 'ENOSYS', env: { BOX: 'required' }, ready: false });
});

afterAll(async () => {
  await client?.cleanup();
  await admin?.cleanup();
  await server?.cleanup();
});

const WHY = 'the kernel or the profile of the container refuses Landlock (ENOSYS)';
const LINE = `borg is in no box of the kernel: ${WHY}; instead the launcher checks what borg opens (BOX)`;
const CURE = 'run a kernel of 5.13 or newer with Landlock, and a container profile that allows its calls';

test('with BOX=required the start ends with one sentence that names the cure, and nobody is let in', async () => {
  expect(await server.ended()).not.toBe(0);
  const lines = server.log().trim().split('\n');
  expect(lines.filter((line) => line.includes('BOX=required'))).toEqual([
    expect.stringMatching(/BOX=required, and the kernel has no box for borg/),
  ]);
  expect(lines.at(-1)).toContain(WHY);
  expect(lines.at(-1)).toContain(CURE);
});

test('without BOX=required it starts, and says in one line that there is no box: at the start, in status and in doctor', async () => {
  await server.start({});
  client = await createClient(server);
  admin = await createClient(server);
  expect(
    server
      .log()
      .split('\n')
      .filter((line) => line.includes('in no box')),
  ).toEqual([expect.stringContaining(LINE)]);
  expect((await server.exec(['borgserver', 'status'])).stdout.split('\n')).toContain(LINE);
  const { stdout } = await server.exec(['borgserver', 'doctor'], { reject: false });
  expect(stdout).toMatch(/^WARNING +box +borg is in no box of the kernel/m);
  expect(stdout).toContain(CURE);
});

test('a session works as with a box, and the launcher checks every entry: neither an admin nor the server follows a link', async () => {
  for (const name of ['web01', 'web02']) await writeKeyFile(server, `repos/${name}`, client.key);
  await grant(server, 'admins/ops', admin.key);
  for (const name of ['web01', 'web02']) {
    await client.borg(['init', '--encryption', 'none', client.url(name)]);
    await client.borg(['create', `${client.url(name)}::first`, '.ssh'], { cwd: client.home });
  }
  const session = await connected(server, client, 'web01', client.key, { flags: [], words: ['borg', 'serve'] });
  // sshd has let the client in, but its session may only just begin.
  const pid = await until('the session to run', () => sessionOf(server, 'web01'));
  const words = await server.look(['cat', `/proc/${pid}/cmdline`]);
  expect(words.stdout).toContain('--box\0entries\0');
  session.ssh.kill();

  const own = join(server.repos, 'web01');
  const { uid, gid } = await stat(own);
  await rm(join(own, 'data/0'), { recursive: true });
  await symlink('/repos/web02/data/0', join(own, 'data/0'));
  await lchown(join(own, 'data/0'), uid, gid);
  const before = await contents(join(server.repos, 'web02'));
  const env = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
  const check = ['check', '--repository-only'];
  const refused = /'data\/0' in this repository is a link, or not a plain file or folder of its owner/;
  for (const of of [
    await admin.borg([...check, '--repair', admin.url('ops', 'web01')], {
      env: { ...env, BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: 'YES' },
      reject: false,
    }),
    await client.borg(['list', client.url('web01')], { env, reject: false }),
    await server.exec([...check, 'web01'], { reject: false }),
  ]) {
    expect(of.exitCode).toBe(2);
    expect(of.stderr).toMatch(refused);
  }
  // The protocol without borg gets no farther: a repository that was refused is not open.
  const input = requests(
    open('/repos/web01', { lock: false }),
    ['check', { repair: true, save_space: false }],
    ['break_lock', {}],
  );
  const { stdout } = await admin.ssh('ops', ['borg', 'serve'], { input, reject: false });
  expect(stdout.match(/exception_class/g)).toHaveLength(3);
  const all = await server.exec([...check, 'all'], { reject: false });
  expect(all).toMatchObject({ exitCode: 2, stdout: '=== web01\n=== web02\n' });
  expect(await contents(join(server.repos, 'web02'))).toEqual(before);
  expect((await admin.borg([...check, admin.url('ops', 'web02')], { env, reject: false })).exitCode).toBe(0);
});
