import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { BASE_ENVIRONMENT, PROJECT, until } from '../e2e/harness/machine.ts';
import { startNamespaceServer } from '../e2e/harness/namespace-server.ts';
import { run } from '../e2e/harness/program.ts';
import type { Server } from '../e2e/harness/server.ts';

let server: Server | undefined;
afterEach(async () => {
  await server?.cleanup();
  server = undefined;
});

/** The parts of the machine that a server without Docker must not change. */
const hostState = () => ({
  accounts: ['passwd', 'group', 'shadow', 'nsswitch.conf', 'hosts', 'resolv.conf'].map((name) =>
    existsSync(`/etc/${name}`) ? readFileSync(`/etc/${name}`, 'utf8') : undefined,
  ),
  known: execFileSync('getent', ['passwd'], { encoding: 'utf8' }),
  root: readdirSync('/').sort(),
  etc: readdirSync('/etc').sort(),
  extrausers: readdirSync('/var/lib/extrausers').sort(),
  // A container engine makes mounts for each of its containers, and somebody may start containers meanwhile.
  mounts: readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => !/ (\/var\/lib|\/run|\/var\/run)\/docker\//.test(line)),
  sshd: existsSync('/run/sshd'),
  policy: existsSync('/usr/sbin/policy-rc.d'),
});

/** The processes that are in other PID namespaces with this data, by their working root. */
const serversOn = (data: string) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return (
          readlinkSync(`/proc/${pid}/ns/pid`) !== readlinkSync('/proc/self/ns/pid') &&
          readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`DATA_DIR=${data}\0`)
        );
      } catch {
        return false;
      }
    });

test('the machine is unchanged while the server runs and after its end, and its end is clean', async () => {
  const before = hostState();
  server = await startNamespaceServer({});
  const data = join(server.repos, '..');
  expect(hostState()).toEqual(before);
  expect(serversOn(data).length).toBeGreaterThan(1);
  expect(await server.stop()).toBe(0);
  expect(hostState()).toEqual(before);
  expect(serversOn(data)).toEqual([]);
  await expect(server.exec(['true'])).rejects.toThrow(`no server runs on ${data}`);
});

test('no process lives on when the start script is killed, and the same data can be served again', async () => {
  server = await startNamespaceServer({});
  const data = join(server.repos, '..');
  await server.kill();
  await until('everything inside to be gone', () => serversOn(data).length === 0);
  await expect(server.exec(['true'])).rejects.toThrow('no server runs');
  await server.start();
  expect((await server.exec(['id', '-u'])).stdout).toBe('0\n');
});

test('two servers run side by side, but not two on the same data', async () => {
  server = await startNamespaceServer({});
  const other = await startNamespaceServer({});
  const third = await run(join(PROJECT, 'image/start-without-docker'), [], BASE_ENVIRONMENT, {
    env: { DATA_DIR: join(server.repos, '..') },
    reject: false,
  });
  expect(third).toMatchObject({ exitCode: 1 });
  expect(third.stderr).toContain('a server already runs on');
  await other.cleanup();
  expect((await server.exec(['id', '-u'])).stdout).toBe('0\n');
});

test('inside, the roles are groups, the machine’s name needs no look-up, names resolve as outside, and the server has only the rights it needs', async () => {
  server = await startNamespaceServer({});
  const inside = async (...words: string[]) => (await server?.exec(words, { reject: false }))?.stdout ?? '';
  expect(await inside('getent', 'group', '770', '771', '772', '773', '774')).toBe(
    'borg-repo:x:770:\nborg-appendonly:x:771:\nborg-admin:x:772:\nborg-repo-sub:x:773:\nborg-appendonly-sub:x:774:\n',
  );
  expect(await inside('grep', '-wF', hostname(), '/etc/hosts')).toContain(hostname());
  if (existsSync('/etc/resolv.conf')) {
    expect(await inside('cat', '/etc/resolv.conf')).toBe(readFileSync('/etc/resolv.conf', 'utf8'));
  }
  expect(await inside('grep', '-E', '^(CapBnd|NoNewPrivs)', '/proc/1/status')).toBe(
    'CapBnd:\t00000000000404fb\nNoNewPrivs:\t1\n',
  );
});

test('an account that the machine adds meanwhile does not take the roles away', async () => {
  server = await startNamespaceServer({});
  // what useradd does: a new file takes the old one's place, and mounts over the old one vanish
  execFileSync('cp', ['-p', '/etc/group', '/etc/group.borgserver-test']);
  execFileSync('mv', ['/etc/group.borgserver-test', '/etc/group']);
  expect((await server.exec(['getent', 'group', 'borg-repo'])).stdout).toBe('borg-repo:x:770:\n');
});

test('whoever is not root is told so in one sentence', async () => {
  // the checkout may be closed to others, so the script comes by standard input
  const child = spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'bash', '-s'], { cwd: '/' });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stdin.end(readFileSync(join(PROJECT, 'image/without-docker.sh')));
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code).toBe(1);
  expect(said.trim().split('\n').at(-1)).toContain('must run as root');
});
