import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from './harness/machine.ts';
import { open, request, requests } from './harness/raw-borg.ts';
import { logIn, makeRawKey, type RawChannel, type RawConnection } from './harness/raw-session.ts';
import { number, text } from './harness/raw-ssh.ts';
import { type Server, startServer } from './harness/server.ts';
import { sessionsOf } from './harness/sessions.ts';
import { updated } from './harness/updated.ts';
import { borgsOf, clientsOf } from './isolation/processes.ts';

// What an account can do to the session host over ssh, with a client that keeps to no rule.

const SESSIONS = 4;
const REFUSED = `has ${SESSIONS} sessions on this server already`;
const key = makeRawKey();
const CALM = 'calm';
const CUT = Array.from({ length: 9 }, (_, index) => `cut-${index}`);

let server: Server;
let connections: RawConnection[] = [];

beforeAll(async () => {
  server = await startServer({ env: { SESSION_HOST: 'yes', SESSIONS_PER_ACCOUNT: String(SESSIONS) } });
  await mkdir(join(server.sshkeys, 'repos'), { recursive: true });
  for (const name of ['web', CALM, ...CUT]) await writeFile(join(server.sshkeys, 'repos', name), `${key.public}\n`);
  await updated(server);
});

afterAll(async () => {
  for (const each of connections) each.cut();
  await server?.cleanup();
});

const arrive = async (account: string): Promise<RawConnection> => {
  const connection = await logIn(server.port, account, key);
  connections.push(connection);
  return connection;
};
const leave = (): void => {
  for (const each of connections) each.cut();
  connections = [];
};

const serving = async (connection: RawConnection, window?: number): Promise<RawChannel> => {
  const channel = await connection.open(window);
  if (!(await channel.exec('borg serve'))) throw new Error('sshd starts nothing');
  return channel;
};
const answered = (channel: RawChannel) =>
  until('an answer of borg', () => {
    if (channel.isOver() && !channel.out().includes('server_version'))
      throw new Error(`it has ended: ${channel.out()}${channel.error()}`);
    return channel.out().includes('server_version');
  });
const over = (channel: RawChannel) => until('the channel to be over', () => channel.isOver());
/** Resolves once nothing of the account is left. */
const leftNothing = async (account: string): Promise<void> => {
  await until(`nothing of ${account} to be left`, async () => {
    const [borgs, clients] = [await borgsOf(server, account), await clientsOf(server, account)];
    return borgs.length + clients.length === 0;
  });
};
/** Holds that as many sessions as the account may have begin at once, and not one more: nothing from before counts. */
const countsRight = async (account: string): Promise<void> => {
  const connection = await arrive(account);
  const served = [];
  for (let each = 0; each < SESSIONS; each += 1) {
    const channel = await serving(connection);
    channel.write(requests());
    await answered(channel);
    served.push(channel);
  }
  const beyond = await serving(connection);
  await over(beyond);
  expect(beyond.error()).toContain(REFUSED);
  expect(served.map((each) => each.isOver())).not.toContain(true);
  leave();
};

test('ten channels of one connection that ask at once are as many sessions as the account may have', async () => {
  const connection = await arrive('web');
  const channels = await Promise.all(Array.from({ length: 10 }, () => connection.open()));
  await Promise.all(channels.map((each) => each.exec('borg serve')));
  for (const each of channels) each.write(requests());
  await until('all to be served or refused', () =>
    channels.every((each) => each.isOver() || each.out().includes('server_version')),
  );
  const refused = channels.filter((each) => each.isOver());
  expect(refused.map((each) => [each.code(), each.error().includes(REFUSED)])).toEqual(
    Array.from({ length: 10 - SESSIONS }, () => [1, true]),
  );
  const [session] = (await sessionsOf(server)).filter((each) => each.account === 'web');
  expect(session?.borg).toHaveLength(SESSIONS);
  for (const each of channels) each.eof();
  await until('all to end', () => channels.every((each) => each.isOver()));
  expect(channels.filter((each) => !refused.includes(each)).map((each) => each.code())).toEqual([0, 0, 0, 0]);
  leave();
  await leftNothing('web');
});

test('what a channel asks for beside a command changes nothing, and sends the session no signal', async () => {
  const connection = await arrive('web');
  const channel = await connection.open();
  const flag = Buffer.of(0);
  expect({
    language: await channel.ask('env', text('LANG'), text('de_DE.UTF-8')),
    python: await channel.ask('env', text('PYTHONPATH'), text('/repos/web')),
    borg: await channel.ask('env', text('BORG_BASE_DIR'), text('/')),
    loader: await channel.ask('env', text('LD_PRELOAD'), text('/repos/web/x.so')),
    command: await channel.ask('env', text('SSH_ORIGINAL_COMMAND'), text('borg serve --restrict-to-path /')),
    terminal: await channel.ask('pty-req', text('xterm'), ...[80, 24, 0, 0].map(number), text('')),
    agent: await channel.ask('auth-agent-req@openssh.com'),
    display: await channel.ask('x11-req', flag, text('MIT-MAGIC-COOKIE-1'), text('00'), number(0)),
    files: await channel.ask('subsystem', text('sftp')),
    unknown: await channel.ask('session-host@example.org'),
  }).toEqual(
    Object.fromEntries(
      ['language', 'python', 'borg', 'loader', 'command', 'terminal', 'agent', 'display', 'files', 'unknown'].map(
        (name) => [name, false],
      ),
    ),
  );
  expect(await channel.exec('borg serve')).toBe(true);
  channel.write(requests());
  await answered(channel);
  for (const name of ['TERM', 'KILL', 'HUP', 'USR1', 'USR2', 'STOP']) channel.tell('signal', text(name));
  channel.tell('break', number(500));
  channel.tell('window-change', ...[1, 1, 0, 0].map(number));
  // A second command in the same channel.
  expect(await channel.exec('borg serve')).toBe(false);
  channel.write(request(9, ['get_free_nonce', {}]));
  await until('it to answer all the same', () => channel.out().split('\xa1i\x09').length > 1);
  channel.eof();
  await over(channel);
  expect(channel.code()).toBe(0);
  const shell = await connection.open();
  expect(await shell.ask('shell')).toBe(true);
  await over(shell);
  expect([shell.code(), shell.error()]).toEqual([1, expect.stringContaining('for BorgBackup only')]);
  leave();
  await leftNothing('web');
});

/** Commands as no client sends them. */
const COMMANDS: Readonly<Record<string, string | Uint8Array>> = {
  nothing: '',
  blanks: '   ',
  'another path': 'borg serve --restrict-to-path / --restrict-to-repository /repos/calm',
  'lines of their own': 'borg serve\n--restrict-to-path\n/\n--append-only',
  quotes: '"borg" \'serve\' "--umask=0000" $(id) `id` ; id',
  variables: 'BORG_BASE_DIR=/ PYTHONPATH=/repos/web borg serve --debug',
  'no UTF-8': Buffer.from('borg \xff\xfe serve \xc3', 'latin1'),
  'cut in a letter': `borg ${'ö'.repeat(3000)} serve`,
  'cut in a word': `borg ${'x'.repeat(4085)} serve`,
  '100 kB': `borg serve ${'x'.repeat(100_000)}`,
  'more than the kernel lets in': `borg serve ${'x'.repeat(140_000)}`,
  'a letter of four bytes, often': `${'🗄'.repeat(2000)} serve --rest`,
};

/** The text without what is different each time: a process, a place in a program, a time. FUSE is left out, too: the host has loaded less of it. */
const plain = (text: string): string =>
  text
    .replaceAll(/"[^"]*\.py", line \d+/g, 'PLACE')
    .replaceAll(/sysinfo...Platform/gs, 'sysinfo Platform')
    .replaceAll(/PID: \d+|fuse: .*\]|"time": [0-9.]+/g, 'OWN');

test('a command of any bytes is answered as by a session that loads borg itself', async () => {
  const ask = async (): Promise<Readonly<Record<string, unknown>>> => {
    const connection = await arrive('web');
    const found: Record<string, unknown> = {};
    for (const [name, command] of Object.entries(COMMANDS)) {
      const channel = await connection.open();
      await channel.exec(command);
      channel.write(requests(open('/repos/calm', { lock: false })));
      channel.eof();
      await over(channel);
      found[name] = [plain(channel.out()), plain(channel.error()), channel.code()];
    }
    leave();
    await leftNothing('web');
    return found;
  };
  const hosted = await ask();
  const rename = (from: string, to: string) =>
    server.exec(['sh', '-c', 'cd /run/borgserver/sessions/borg-repo && mv "$0" "$1"', from, to]);
  await rename('door', 'door.away');
  const cold = await ask();
  await rename('door.away', 'door');
  expect(hosted).toEqual(cold);
});

test('a command with a zero byte in it ends the connection, and leaves nothing', async () => {
  const connection = await arrive('web');
  const channel = await connection.open();
  expect(await channel.exec('borg serve\0--restrict-to-path /')).toBe(false);
  await until('the connection to be over', () => connection.isOver());
  leave();
  await leftNothing('web');
});

test('a session ends with its input, however early that ends, and a client that does not read holds up only its own session', async () => {
  const connection = await arrive('web');
  const early = await connection.open();
  // One ends before sshd has answered; the other sends its input and its end at once.
  const started = early.exec('borg serve');
  early.eof();
  await started;
  await over(early);
  expect(early.code()).toBe(0);
  const last = await serving(connection);
  last.write(requests());
  last.eof();
  await over(last);
  expect([last.out(), last.code()]).toEqual([expect.stringContaining('server_version'), 0]);

  const slow = await serving(connection, 7);
  slow.write(requests());
  await until('the first bytes', () => slow.out().length === 7);
  const fast = await serving(connection);
  fast.write(requests());
  await answered(fast);
  expect(slow.out()).toHaveLength(7);
  slow.adjust(100_000);
  await answered(slow);

  const flood = await serving(connection);
  // No message begins with this byte (the msgpack specification, "never used"). Random bytes alone could be the beginning of a message.
  flood.write(Buffer.concat([Buffer.of(0xc1), randomBytes(4_000_000)]));
  flood.eof();
  await over(flood);
  expect(flood.code()).not.toBe(0);
  for (const each of [slow, fast]) {
    each.eof();
    await over(each);
    expect(each.code()).toBe(0);
  }
  leave();
  await leftNothing('web');
  await countsRight('web');
  await leftNothing('web');
});

/** What each connection does before it is cut, by its account. */
const PHASES: Readonly<Record<string, (account: string) => Promise<unknown>>> = {
  'before a word': async () => {
    const socket = connect({ port: server.port, host: '127.0.0.1' });
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
  },
  'logged in': async (account) => (await arrive(account)).cut(),
  'a channel': async (account) => {
    const connection = await arrive(account);
    await connection.open();
  },
  'a command, unanswered': async (account) => {
    const connection = await arrive(account);
    const channel = await connection.open();
    void channel.exec('borg serve');
  },
  'a command': async (account) => serving(await arrive(account)),
  'a first answer': async (account) => {
    const channel = await serving(await arrive(account));
    channel.write(requests());
    await answered(channel);
  },
  'an answer that is not read': async (account) => {
    const channel = await serving(await arrive(account), 1);
    channel.write(requests());
    await until('its first byte', () => channel.out().length === 1);
  },
  'the lock': async (account) => locked(account),
  'a part of an object, with the lock': async (account) => {
    const channel = await locked(account);
    const whole = request(5, ['put', { id: randomBytes(32), data: randomBytes(1_000_000) }]);
    channel.write(whole.subarray(0, 500_000));
  },
};

/** A session that has made the account's repository, and holds its lock. */
const locked = async (account: string): Promise<RawChannel> => {
  const folder = join(server.repos, account);
  const made = await serving(await arrive(account));
  made.write(requests(open(`/repos/${account}`, { create: true })));
  made.eof();
  await over(made);
  const channel = await serving(await arrive(account));
  channel.write(requests(open(`/repos/${account}`, { exclusive: true })));
  await until('the lock', async () => (await readdir(folder)).includes('lock.exclusive'));
  return channel;
};

test('a connection that is cut in any phase leaves no session, no lock and no count', async () => {
  const phases = Object.entries(PHASES);
  await Promise.all(phases.map(async ([, phase], index) => phase(CUT[index] ?? '')));
  leave();
  for (const [index, [name]] of phases.entries()) {
    const account = CUT[index] ?? '';
    await leftNothing(account);
    const names = await readdir(join(server.repos, account));
    expect([name, names.filter((each) => each.startsWith('lock.'))]).toEqual([name, []]);
  }
  for (const index of [3, 5, 8]) await countsRight(CUT[index] ?? '');
});

test('a session whose client is gone, but has left it the connection to the host, is ended by the server', async () => {
  const source = await readFile(join(import.meta.dirname, '../image/door_attacks.py'), 'utf8');
  // This stands for sshd's processes: a process of the account, below one of root.
  const login = 'setpriv --reuid="$(id -u web)" --regid="$(id -g web)" --init-groups python3 -I -c "$0" "$@"; exit $?';
  const door = '/run/borgserver/sessions/borg-repo/door';
  const attacks = ['itself', 'passed on'];
  const { stdout } = await server.exec(['sh', '-c', login, source, door, 'web', CALM, ...attacks]);
  expect(stdout.trim().split('\n').sort()).toEqual(attacks.map((each) => `${each}: served`));
  await leftNothing('web');
  await countsRight('web');
});
