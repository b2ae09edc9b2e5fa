import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Server, startServer } from './harness/server.ts';

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.cleanup());

test('a program that runs in the server has its standard streams and hands on its exit code', async () => {
  const result = await server.exec(['sh', '-c', 'cat; echo complaint >&2; exit 7'], { input: 'said\n', reject: false });
  expect(result).toEqual({ stdout: 'said\n', stderr: 'complaint\n', exitCode: 7 });
});

test('a command starts with what V8 has compiled before, and compiles nothing anew', async () => {
  for (const [command, accepted] of [
    ['--version', /V8 code cache for ESM file:\S*\/borgserver\.js was accepted/],
    ['status', /V8 code cache for ESM file:\S*\/on-this-machine-\S*\.js was accepted/],
  ] as const) {
    const words = ['sh', '-c', `NODE_DEBUG_NATIVE=COMPILE_CACHE borgserver ${command} 2>&1`];
    const { stdout } = await server.exec(words, { reject: false });
    expect(stdout, command).toMatch(accepted);
    expect(stdout, command).not.toMatch(/was rejected|writing cache/);
  }
});

test('the launcher is shipped compiled, and no start compiles it anew', async () => {
  const compare = `for shipped in "$(dirname "$(readlink -f "$(command -v borgserver)")")"/../launcher/__pycache__/*.pyc; do
    cmp "$shipped" /run/borgserver/launcher/__pycache__/"\${shipped##*/}" && echo same
  done`;
  const { stdout } = await server.exec(['sh', '-c', compare]);
  expect(stdout.split('\n').filter((line) => line === 'same').length).toBeGreaterThan(20);
});

test('a command that only asks the server loads nothing else', async () => {
  for (const command of ['sessions', 'keys', 'healthcheck', 'update']) {
    const { stdout } = await server.exec(['sh', '-c', `NODE_DEBUG_NATIVE=COMPILE_CACHE borgserver ${command} 2>&1`]);
    expect(stdout, command).toMatch(/\/borgserver\.js was accepted/);
    expect(stdout, command).not.toMatch(/on-this-machine-|update-alone-|sshd-/);
  }
});

test("borg's variables are handed on, and no others", async () => {
  const words = ['sh', '-c', 'echo "$BORG_PASSPHRASE/$ELSE"'];
  const { stdout } = await server.exec(words, { env: { BORG_PASSPHRASE: 'a b', ELSE: 'no' } });
  expect(stdout).toBe('a b/\n');
});

test("a real program comes before borg's subcommand of the same name, and borg is never the bare one", async () => {
  const where = async (name: string) => (await server.exec(['sh', '-c', `command -v ${name}`])).stdout;
  expect(await where('borg')).toMatch(/borgserver\/first\/borg$/m);
  expect(await where('mount')).toBe('/usr/bin/mount\n');
  expect(await where('list')).toMatch(/borgserver\/shims\/list$/m);
  expect(await where('update-borgusers')).toMatch(/borgserver\/bin\/update-borgusers$/m);
});

test('every account can read what its session needs, and none of the host keys', async () => {
  const tenant = ['setpriv', '--reuid=12345', '--regid=12345', '--clear-groups'];
  expect((await server.exec([...tenant, 'getent', 'passwd', 'root'])).stdout).toMatch(/^root:/);
  const hostKeys = await readdir(join(server.sshkeys, 'host'));
  const hidden = hostKeys.find((name) => name.startsWith('ssh_host_') && !name.endsWith('.pub')) ?? 'none';
  const attempt = await server.exec([...tenant, 'cat', `/sshkeys/host/${hidden}`], { reject: false });
  expect(attempt.exitCode).not.toBe(0);
});

test('a server that was stopped and started again is the same server to its clients', async () => {
  const hostKey = () => readFile(join(server.sshkeys, 'host/ssh_host_ed25519_key.pub'), 'utf8');
  const before = await hostKey();
  expect(await server.stop()).toBe(0);
  await server.start();
  expect(await hostKey()).toBe(before);
});

test('a server that was killed as by a power cut starts again', async () => {
  await server.kill();
  await server.start();
  expect((await server.exec(['true'])).exitCode).toBe(0);
});
