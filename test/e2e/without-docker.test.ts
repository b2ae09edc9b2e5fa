import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { grant } from './harness/key-files.ts';
import { letsIn } from './harness/logging-in.ts';
import { BASE_ENVIRONMENT, freePort, greets, PROJECT, until } from './harness/machine.ts';
import { run } from './harness/program.ts';
import { type Server, startServer } from './harness/server.ts';

/**
 * Everything of the host that a server with accounts and logins might have touched. Other tests mount things meanwhile, but in the
 * folders of their own servers.
 */
const hostState = (own: Server | undefined) => ({
  files: ['passwd', 'group', 'shadow', 'gshadow', 'nsswitch.conf', 'hosts', 'resolv.conf', 'subuid'].map((name) =>
    existsSync(`/etc/${name}`) ? readFileSync(`/etc/${name}`, 'utf8') : undefined,
  ),
  known:
    execFileSync('getent', ['passwd'], { encoding: 'utf8' }) + execFileSync('getent', ['group'], { encoding: 'utf8' }),
  folders: ['/', '/etc', '/etc/ssh', '/var/lib/extrausers'].map((path) => readdirSync(path).sort()),
  ownMounts: readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => /borgserver|sshkeys|extrausers|nsswitch/.test(line))
    .filter((line) => !line.includes(` ${tmpdir()}/borgserver-`) || (own && line.includes(dirname(own.sshkeys)))),
  run: readdirSync('/run').filter((name) => name !== 'borgserver-without-docker' && /borg|sshd/.test(name)),
  repos: existsSync('/repos'),
});

describe('without Docker', () => {
  let server: Server;
  let client: Client;
  let before: ReturnType<typeof hostState>;

  beforeAll(async () => {
    before = hostState(undefined);
    server = await startServer();
    client = await createClient(server);
    await grant(server, 'repos/web01', client.key);
  });
  afterAll(async () => {
    await client?.cleanup();
    await server?.cleanup();
  });

  test('nothing of the host changes while accounts log in and back up', async () => {
    await client.borg(['init', '--encryption', 'none', client.url('web01')]);
    await client.borg(['create', `${client.url('web01')}::first`, '/etc/hostname']);
    expect((await server.exec(['id', '-un', 'web01'])).stdout).toBe('web01\n');
    expect(hostState(server)).toEqual(before);
    await expect(run('getent', ['passwd', 'web01'], BASE_ENVIRONMENT)).rejects.toThrow('ended with 2');
  });

  test('inside, host names and accounts resolve as they do outside', async () => {
    for (const words of [
      ['getent', 'ahostsv4', 'localhost'],
      ['getent', 'hosts', hostname()],
      ['getent', 'passwd', 'root'],
    ]) {
      expect((await server.exec(words)).stdout).toMatch(/./);
    }
    expect((await server.exec(['getent', 'passwd', 'root'])).stdout).toBe(
      execFileSync('getent', ['passwd', 'root'], { encoding: 'utf8' }),
    );
  });

  test('npm run exec hands on words, streams and the exit code', async () => {
    const words = [
      'run',
      '-s',
      'exec',
      '--',
      'sh',
      '-c',
      'cat; printf "%s|" "$@" >&2; exit 9',
      'x',
      'a b',
      '',
      '$HOME',
    ];
    const result = await run('npm', words, BASE_ENVIRONMENT, {
      cwd: PROJECT,
      env: { DATA_DIR: join(server.repos, '..'), npm_config_update_notifier: 'false' },
      input: 'in\n',
      reject: false,
    });
    expect(result).toMatchObject({ stdout: 'in\n', exitCode: 9 });
    expect(result.stderr).toContain('a b||$HOME|');
  });

  test('doctor says nothing of mounts: all data are below one folder', async () => {
    const { stdout } = await server.exec(['borgserver', 'doctor', '--json'], { reject: false });
    const topics = JSON.parse(stdout).map(({ topic }: { readonly topic: string }) => topic);
    expect(topics).toContain('host keys');
    expect(topics).not.toContain('mounts');
  });

  test('two servers with data of their own run side by side and know nothing of each other', async () => {
    const other = await startServer();
    const visitor = await createClient(other);
    try {
      await grant(other, 'repos/elsewhere', visitor.key);
      expect(await letsIn(visitor, 'elsewhere')).toBe(true);
      expect(await letsIn(client, 'elsewhere')).toBe(false);
      await expect(server.exec(['id', 'elsewhere'])).rejects.toThrow('no such user');
    } finally {
      await visitor.cleanup();
      await other.cleanup();
    }
    expect(await letsIn(client, 'web01')).toBe(true);
  });

  test.for(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s to the whole group of a terminal ends it cleanly',
    async (signal) => {
      const data = mkdtempSync('/tmp/borgserver-e2e-');
      const port = await freePort();
      const child = spawn(join(PROJECT, 'image/start-without-docker'), [], {
        env: { ...BASE_ENVIRONMENT, DATA_DIR: data, SSH_PORT: String(port) },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own, which gets the signal as the terminal's does.
        detached: true,
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => {
          said += chunk;
        });
      const end = new Promise<number | null>((resolve) => child.on('close', resolve));
      await until('the server to greet', () => greets(port));
      process.kill(-(child.pid ?? 0), signal);
      expect(await end).toBe(0);
      expect(said).toContain('stopping');
      expect(await greets(port)).toBe(false);
      await rm(data, { recursive: true });
    },
  );

  test('a user who is not root is told so in one sentence', async () => {
    // The checkout may be closed to others, so the script's first lines come by standard input.
    const script = readFileSync(join(PROJECT, 'image/without-docker.sh'), 'utf8');
    const refused = await run(
      'setpriv',
      ['--reuid=65534', '--regid=65534', '--clear-groups', 'bash', '-s'],
      BASE_ENVIRONMENT,
      { cwd: '/', input: script, reject: false },
    );
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr.trim().split('\n').at(-1)).toContain('must run as root');
  });

  test('the host is as it was when the server has ended', async () => {
    expect(await server.stop()).toBe(0);
    expect(hostState(server)).toEqual(before);
  });
});
