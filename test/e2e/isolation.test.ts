import { access, readdir, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Client, createClient } from './harness/client.ts';
import { holdLock } from './harness/held-lock.ts';
import { grant, writeKeyFile } from './harness/key-files.ts';
import { BASE_ENVIRONMENT, freePort, until } from './harness/machine.ts';
import { type Finished, type Running, run } from './harness/program.ts';
import { open, requests } from './harness/raw-borg.ts';
import { contents } from './harness/repository-files.ts';
import { type Server, startServer } from './harness/server.ts';

let server: Server;
let mallory: Client;
let alice: Client;
let before: ReadonlyMap<string, string>;

beforeAll(async () => {
  server = await startServer();
  mallory = await createClient(server);
  alice = await createClient(server);
  await writeKeyFile(server, 'repos/alice', alice.key);
  await writeKeyFile(server, 'repos/mallory', mallory.key);
  await grant(server, 'repos-appendonly/malory-ao', mallory.key);
  await writeFile(join(alice.home, 'secret'), 'what only alice knows');
  await alice.borg(['init', '--encryption', 'none', alice.url('alice')]);
  await alice.borg(['create', `${alice.url('alice')}::private`, 'secret'], {
    cwd: alice.home,
    env: { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' },
  });
  await mallory.borg(['init', '--encryption', 'repokey-blake2', mallory.url('mallory')]);
  await mallory.borg(['init', '--encryption', 'repokey-blake2', mallory.url('malory-ao')]);
  // A link is not something a tenant can make; an operator may have, or a fault of borg.
  await symlink('/repos/alice', join(server.repos, 'mallory/link'));
  before = await contents(join(server.repos, 'alice'));
});

afterAll(async () => {
  // Whatever was tried, nothing of alice's has changed.
  if (before) expect(await contents(join(server.repos, 'alice'))).toEqual(before);
  await alice?.cleanup();
  await mallory?.cleanup();
  await server?.cleanup();
});

/** The number of a repository's account, from inside the server. */
const uidOf = async (account: string): Promise<number> =>
  Number((await server.exec(['stat', '-c', '%u', `/repos/${account}`])).stdout);

const REFUSAL = /This account is for BorgBackup only/;

describe('of the paths a tenant can name', () => {
  const refusedPaths = [
    '/repos/alice',
    '/repos/alice/',
    '/repos/mallory/../alice',
    '/repos/mallory/link',
    '/repos/mallory/link/data',
    '/repos/mallory/sub',
    '/repos/mallory-2',
    '/repos/malory-ao',
    '/repos/mallory/..',
    '/repos',
    '/repos/.borgserver',
    '/',
    '..',
    '../alice',
    './../alice',
    '/./../alice',
    '/~/alice',
    '/~alice',
    '~alice',
    '~root',
    '/etc',
    '/sshkeys',
    '/proc/self/root/repos/alice',
    '/repos/mallory\n/../alice',
  ];

  test("borg's own client is refused all but the own repository", async () => {
    for (const path of ['/repos/alice', '/repos/mallory/sub', '/repos/mallory/link', '/~alice']) {
      const url = `ssh://mallory@127.0.0.1:${server.port}${path}`;
      for (const words of [
        ['list', url],
        ['init', '--encryption', 'none', url],
        ['break-lock', url],
      ]) {
        const refused = await mallory.borg(words, { reject: false });
        expect({ words, exitCode: refused.exitCode }).toEqual({ words, exitCode: 2 });
        expect(refused.stderr, words.join(' ')).toContain('Repository path not allowed');
        expect(`${refused.stdout}${refused.stderr}`).not.toMatch(/private|Traceback/);
      }
    }
  });

  test('a client that does not tidy up paths gets no further', async () => {
    for (const create of [false, true]) {
      const calls = refusedPaths.map((path) => open(path, { create, make_parent_dirs: create, lock: false }));
      const { stdout } = await mallory.ssh('mallory', ['borg', 'serve'], { input: requests(...calls), reject: false });
      expect(stdout.match(/exception_class.PathNotAllowed/gs)).toHaveLength(refusedPaths.length);
      expect(stdout).not.toMatch(/exception_class.(?!PathNotAllowed)/s);
    }
    // The same words with the own path do open it, so it was the path that was refused.
    const allowed = await mallory.ssh('mallory', ['borg', 'serve'], { input: requests(open('/repos/mallory')) });
    expect(allowed.stdout).not.toMatch(/PathNotAllowed|exception_class/);
  });

  test('the answer does not tell whether a name is taken', async () => {
    const answer = async (name: string) => {
      const { stderr, exitCode } = await mallory.borg(['list', mallory.url('mallory', name)], { reject: false });
      return { exitCode, said: stderr.replaceAll(name, 'NAME') };
    };
    expect(await answer('alice')).toEqual(await answer('zelda'));
  });

  test('the words that ask the server for wider or other restrictions decide nothing', async () => {
    for (const remote of [
      'borg serve --restrict-to-path / --',
      'borg serve --restrict-to-repository /repos/alice --',
      'USER=alice borg',
      'env USER=alice borg',
      'borg serve --umask 0000 --debug-profile /tmp/profile --',
      'borg --session x -- serve --restrict-to-path / ; borg',
      "borg'\nserve --restrict-to-path /\n'",
    ]) {
      const refused = await mallory.borg(['--remote-path', remote, 'list', mallory.url('mallory', 'alice')], {
        reject: false,
      });
      expect({ remote, exitCode: refused.exitCode }).toEqual({ remote, exitCode: 2 });
      expect(refused.stderr, remote).toContain('Repository path not allowed');
      expect(refused.stdout).toBe('');
    }
  });
});

describe('a tenant gets no', () => {
  test('shell and no command', async () => {
    const attempts: readonly (readonly string[])[] = [
      [],
      ['id'],
      ['sh', '-c', 'id'],
      ['cat /etc/passwd'],
      ['/bin/bash -i'],
      ['borg'],
      ['borg create /repos/mallory::x /etc'],
      ['borg list /repos/alice'],
      ['borg --version; id'],
      ['borg --version\nid'],
      ['$(id)'],
      ['`id`'],
      ['python3 -c "print(1)"'],
      ['rsync --server --sender . /repos/alice'],
      ['update-borgusers'],
      ['borgserver update'],
    ];
    for (const [account, some] of [
      ['mallory', attempts],
      ['malory-ao', attempts.slice(0, 4)],
    ] as const) {
      for (const words of some) {
        const refused = await mallory.ssh(account, words, { input: 'id\n', reject: false });
        expect({ words, stdout: refused.stdout, exitCode: refused.exitCode }).toEqual({
          words,
          stdout: '',
          exitCode: 1,
        });
        expect(refused.stderr).toMatch(REFUSAL);
        expect(refused.stderr).not.toMatch(/uid=|alice/);
      }
    }
  });

  test('file transfer: neither scp nor sftp, whatever the subsystem is called', async () => {
    const local = join(mallory.home, 'payload');
    await writeFile(local, 'payload');
    const flags = [...mallory.sshFlags(), '-P', String(server.port)];
    const remote = 'mallory@127.0.0.1:';
    const attempts: readonly (readonly [string, ...string[]])[] = [
      ['scp', '-O', local, `${remote}/repos/mallory/payload`],
      ['scp', '-s', local, `${remote}/repos/mallory/payload`],
      ['scp', '-O', `${remote}/repos/alice/config`, join(mallory.home, 'stolen')],
      ['scp', '-s', `${remote}/repos/alice/config`, join(mallory.home, 'stolen')],
      ['sftp', '-b', '/dev/null', 'mallory@127.0.0.1'],
      ['sftp', '-b', '/dev/null', '-s', 'internal-sftp', 'mallory@127.0.0.1'],
      ['sftp', '-b', '/dev/null', '-s', '/usr/lib/openssh/sftp-server', 'mallory@127.0.0.1'],
    ];
    for (const [program, ...words] of attempts) {
      const known = program === 'scp' ? words.slice(0, 1) : [];
      const rest = program === 'scp' ? words.slice(1) : words;
      const refused = await run(program, [...known, ...flags, ...rest], BASE_ENVIRONMENT, { reject: false });
      expect({ program, words, failed: refused.exitCode !== 0 }).toEqual({ program, words, failed: true });
      expect(refused.stdout).toBe('');
    }
    expect(await readdir(join(server.repos, 'mallory'))).not.toContain('payload');
    await expect(access(join(mallory.home, 'stolen'))).rejects.toThrow();
  });

  test('forwarding of ports and sockets, in either direction', async () => {
    const inside = server.target === 'container' ? 22 : server.port;
    const direct = await mallory.ssh('mallory', [], { flags: ['-W', `127.0.0.1:${inside}`], reject: false });
    expect(direct.stdout).toBe('');
    expect(direct.exitCode).not.toBe(0);

    for (const remote of ['0:127.0.0.1:22', '/tmp/mallory.sock:127.0.0.1:22']) {
      const flags = ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', remote];
      const refused = await mallory.ssh('mallory', [], { flags, reject: false });
      expect({ remote, failed: refused.exitCode !== 0 }).toEqual({ remote, failed: true });
      expect(refused.stderr).toMatch(/remote port forwarding failed|forwarding failed/);
    }

    const port = await freePort();
    const socks = await freePort();
    const control = await freePort();
    const flags = [
      ...['-N', '-L', `127.0.0.1:${port}:127.0.0.1:${inside}`],
      ...['-L', `127.0.0.1:${control}:/run/borgserver/control.sock`],
      ...['-D', `127.0.0.1:${socks}`],
    ];
    const tunnel = mallory.ssh('mallory', [], { flags, reject: false });
    try {
      // SOCKS4 to 127.0.0.1; what comes back may be the refusal, never sshd's greeting.
      const connectCommand = Buffer.of(4, 1, inside >> 8, inside & 255, 127, 0, 0, 1, 0);
      expect(await said(port)).toBe('');
      expect(await said(control, Buffer.from('{"command":"ping"}\n'))).toBe('');
      expect(await said(socks, connectCommand)).not.toContain('SSH-');
    } finally {
      tunnel.kill();
      await tunnel;
    }
  });

  test('agent forwarding and no X11', async () => {
    const socket = join(mallory.home, 'agent');
    const agent = run('ssh-agent', ['-D', '-a', socket], BASE_ENVIRONMENT, { reject: false });
    await until('the agent', () =>
      access(socket)
        .then(() => true)
        .catch(() => false),
    );
    // The first value of an option counts, so what the harness sets comes behind.
    const session = run(
      'ssh',
      [
        ...['-v', '-o', `IdentityAgent=${socket}`, '-A', '-Y', ...mallory.sshFlags(), '-p', String(server.port)],
        ...['mallory@127.0.0.1', 'borg serve'],
      ],
      { ...BASE_ENVIRONMENT, SSH_AUTH_SOCK: socket, DISPLAY: ':99' },
      { input: 'pipe', reject: false },
    );
    try {
      const uid = await uidOf('mallory');
      await until('the session', async () => (await processes(uid)).some(({ words }) => words.includes('borg-serve')));
      const sockets = ['find', '/tmp', '-maxdepth', '2', '-uid', String(uid), '-name', '*agent*'];
      expect((await server.exec(sockets, { reject: false })).stdout).toBe('');
    } finally {
      session.stdin?.end();
      await session;
      agent.kill();
      await agent;
    }
    const { stderr } = await session;
    expect(stderr).toContain('X11 forwarding request failed');
  });

  test('terminal', async () => {
    const refused = await mallory.ssh('mallory', [], { flags: ['-tt'], input: 'id\n', reject: false });
    expect(refused.stderr).toContain('PTY allocation request failed');
    expect(refused.stdout).toBe('');
    expect(refused.exitCode).not.toBe(0);
  });

  test('environment variable into the session', async () => {
    const url = mallory.url('mallory');
    await mallory.borg(['create', `${url}::first`, mallory.key.private]);
    const variables = {
      BORG_HOST_ID: 'evil',
      BORG_BASE_DIR: '/tmp',
      BORG_SELFTEST: 'enabled',
      LD_PRELOAD: '/tmp/evil.so',
      PYTHONPATH: '/tmp',
      USER: 'alice',
      SSH_CONNECTION: 'evil',
    };
    const pairs = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
    const rsh = ['ssh', '-o', `"SetEnv=${pairs.join(' ')}"`, ...mallory.sshFlags()].join(' ');
    for (const options of [
      { env: { BORG_RSH: rsh } },
      {
        env: {
          ...variables,
          USER: undefined,
          LD_PRELOAD: undefined,
          BORG_BASE_DIR: mallory.home,
          BORG_RSH: `ssh -o "SendEnv=BORG_* PYTHON*" ${mallory.sshFlags().join(' ')}`,
        },
      },
      { words: ['--remote-path', 'BORG_HOST_ID=evil BORG_BASE_DIR=/tmp borg'] },
    ]) {
      const held = await holdLock(server, mallory, 'mallory', url, options);
      expect(held.name).toMatch(/^borgserver-[^/]+\.\d+-[0-9a-f]+$/);
      const ended = await held.release();
      expect(ended.exitCode).toBe(0);
      expect(ended.stderr).not.toContain('LD_PRELOAD');
    }
  });

  test('login with a password, or without a key', async () => {
    const flags = (methods: string) => ['-o', 'PubkeyAuthentication=no', '-o', `PreferredAuthentications=${methods}`];
    for (const methods of ['password', 'keyboard-interactive', 'none', 'hostbased', 'gssapi-with-mic']) {
      const refused = await mallory.ssh('mallory', ['borg', '--version'], { flags: flags(methods), reject: false });
      expect(refused.exitCode).toBe(255);
      expect(refused.stderr).toBe('mallory@127.0.0.1: Permission denied (publickey).\r\n');
    }
  });
});

test('who has no role here gets the same answer as an account that does not exist', async () => {
  const answer = async (name: string) => {
    const { stderr, exitCode, stdout } = await mallory.ssh(name, ['borg', '--version'], { reject: false });
    return { exitCode, stdout, said: stderr.replaceAll(name, 'NAME') };
  };
  const unknown = await answer('nobody-knows-me');
  expect(unknown).toMatchObject({ exitCode: 255, stdout: '' });
  for (const name of ['root', 'nobody', 'sshd', 'alice', 'borg', '10000', '$USER']) {
    expect({ name, ...(await answer(name)) }).toEqual({ name, ...unknown });
  }
});

test('the kernel, too, keeps tenants apart, and from the list of names', async () => {
  const uid = await uidOf('mallory');
  const asMallory = (...words: string[]) =>
    server.exec(['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--groups=770', ...words], { reject: false });
  for (const words of [
    ['ls', '/repos'],
    ['ls', '/repos/alice'],
    ['cat', '/repos/alice/config'],
    ['mkdir', '/repos/new'],
    ['mv', '/repos/mallory', '/repos/mine'],
    ['ls', '/repos/.borgserver'],
    ['sh', '-c', 'echo x >>/run/borgserver/authorized_keys/mallory'],
    ['cat', '/run/borgserver/sshd_config'],
  ]) {
    const refused = await asMallory(...words);
    expect({ words, stdout: refused.stdout, failed: refused.exitCode !== 0 }).toEqual({
      words,
      stdout: '',
      failed: true,
    });
  }
  expect((await asMallory('cat', '/repos/mallory/README')).exitCode).toBe(0);
});

describe('the command that makes borg read /dev/zero', () => {
  const LIMIT = 300e6;

  /** Watches the tenant's processes until the client ends, and ends them if they eat the memory. */
  const peakMemory = async (client: Running): Promise<{ readonly how: Finished; readonly peak: number }> => {
    const uid = await uidOf('mallory');
    let how: Finished | undefined;
    client.then(
      (finished) => {
        how = finished;
      },
      () => {},
    );
    let peak = 0;
    while (how === undefined) {
      const found = await processes(uid);
      peak = Math.max(peak, ...found.map(({ bytes }) => bytes));
      if (peak > LIMIT) {
        await server.exec(['kill', '-KILL', ...found.map(({ pid }) => String(pid))], { reject: false });
        client.kill('SIGKILL');
        how = await client;
      }
      await setTimeout(20);
    }
    return { how, peak };
  };

  test('is refused', async () => {
    const bomb = 'borg create --exclude-from /dev/zero /repos/mallory::y /';
    const { how, peak } = await peakMemory(mallory.ssh('mallory', [bomb], { reject: false }));
    expect(how.stderr).toMatch(REFUSAL);
    expect(peak).toBeLessThan(LIMIT);
  });

  test('does nothing beside serve', async () => {
    for (const remote of [
      'borg serve --exclude-from /dev/zero --',
      'borg create --exclude-from /dev/zero /repos/mallory::y / ;',
    ]) {
      const listing = mallory.borg(['--remote-path', remote, 'list', mallory.url('mallory')], { reject: false });
      const { how, peak } = await peakMemory(listing);
      expect({ remote, exitCode: how.exitCode }).toEqual({ remote, exitCode: 0 });
      expect(peak).toBeLessThan(LIMIT);
    }
  });
});

/** What the other end of a TCP connection says before it closes, or within a while of silence. */
const said = async (port: number, first?: Buffer): Promise<string> => {
  const socket = await until('the tunnel', () => connected(port));
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (data) => {
      text += data.toString('latin1');
      // A greeting has arrived: no need to wait for an end that may not come.
      if (text.includes('\n')) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    if (first) socket.write(first);
  });
};

const connected = (port: number) =>
  new Promise<ReturnType<typeof connect> | undefined>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });

type Process = { readonly pid: number; readonly bytes: number; readonly words: string };

/** The processes of a uid inside the server, with their resident memory. */
const processes = async (uid: number): Promise<readonly Process[]> => {
  const script = `
    for status in /proc/[0-9]*/status; do
      grep -q "^Uid:[^0-9]*$0[^0-9]" "$status" 2>/dev/null || continue
      folder=\${status%/status}
      echo "\${folder#/proc/} $(sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' "$status" 2>/dev/null) $(tr '\\0' ' ' <"$folder/cmdline")"
    done 2>/dev/null
  `;
  const { stdout } = await server.exec(['sh', '-c', script, String(uid)], { reject: false });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [pid = '', kilobytes = '', ...words] = line.split(' ');
      return { pid: Number(pid), bytes: Number(kilobytes) * 1024, words: words.join(' ') };
    });
};
