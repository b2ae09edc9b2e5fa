import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { until } from '../e2e/harness/machine.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { type Call, converse, launch } from './launched-session.ts';

// What real sessions say about how they ended, and what image/session-ends makes of that.

const NOBODY = 65_534;
const PROGRAM = join(import.meta.dirname, '../../image/session-ends');
const COMMIT: Call = ['commit', { save_space: false, compact: false, threshold: 0 }];
const put = (bytes = 1): Call => ['put', { id: Buffer.from('x'.padEnd(32, '.')), data: Buffer.alloc(bytes) }];

let folder: string;
let repository: string;
let running: { kill: (signal: NodeJS.Signals) => unknown }[];
let listener: ChildProcessWithoutNullStreams;
let heard: string;

const socket = (): string => join(folder, 'session-ends');
const lines = (): readonly string[] => heard.split('\n').slice(1, -1);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'session-ends-'));
  chmodSync(folder, 0o755);
  await installLauncher(folder, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
  repository = join(folder, 'repos/web01');
  mkdirSync(repository, { recursive: true });
  chownSync(repository, NOBODY, NOBODY);
  heard = '';
  listener = spawn(findBorg().python, ['-I', PROGRAM, socket()]);
  listener.stdout.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  running = [listener];
  await until('the listener to listen', () => heard.startsWith('ready\n'));
});

afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const session = async (more: readonly string[] = [], minFree = '1') => {
  const borg = launch({
    ...{ launcher: join(folder, 'borg-serve'), repos: join(folder, 'repos'), repository, more },
    ...{ account: 'nobody', uid: NOBODY },
    before: ['--account', 'nobody', '--sessions', '50', '--memory', 'auto', '--min-free', minFree],
  });
  running.push(borg);
  return converse(borg);
};

/** What a session says at its end if its client makes these calls. */
const saidBy = async (calls: readonly Call[], more?: readonly string[], minFree?: string): Promise<string> => {
  const before = lines().length;
  const client = await session(more, minFree);
  await client.callAll(calls);
  await client.end();
  // The session has waited until it was heard.
  await until('the word of the session', () => lines().length > before);
  expect(lines().length).toBe(before + 1);
  return (lines().at(-1) ?? '').replace(/^65534 \d+ \d+ /, '');
};

/** Says something, and hands over a socket. Closing that socket waits until its other end has read everything, which never happens. */
const LINGERS = `
import os, socket, struct, sys
listens = socket.create_server(('127.0.0.1', 0))
sends = socket.create_connection(listens.getsockname()); other = listens.accept()[0]
sends.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
sends.setblocking(False)
try:
    while True: sends.send(b'x' * 100000)
except BlockingIOError: pass
door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); door.connect(sys.argv[1])
socket.send_fds(door, [b'hello'], [sends.fileno()]); os.close(sends.detach())
print('said', flush=True); sys.stdin.read()`;

test('a process cannot keep others from being heard by handing over a socket that takes long to close', async () => {
  const lingers = spawn('setpriv', [
    ...['--reuid', '65534', '--regid', '65534', '--clear-groups', findBorg().python, '-c', LINGERS, socket()],
  ]);
  running.push(lingers);
  // The listener stands still until it alone has the socket.
  listener.kill('SIGSTOP');
  await once(lingers.stdout, 'data');
  listener.kill('SIGCONT');
  await until('the other process to be heard', () => lines().some((line) => line.endsWith(' hello')));
  expect(await saidBy([open(repository, { create: true, exclusive: true }), put(), COMMIT])).toBe('well w web01');
});

test('a session says once how it ended, and nothing about what its client has caused itself', async () => {
  const writing = open(repository, { exclusive: true });
  expect(await saidBy([open(repository, { create: true, exclusive: true }), put(), COMMIT])).toBe('well w web01');
  expect(await saidBy([writing, ['list'], ['get', { id: Buffer.alloc(32) }]])).toBe('well r web01');

  expect(await saidBy([writing, put(20_000_000)], ['--storage-quota=10M'])).toBe('quota w web01');
  expect(await saidBy([writing, put(2_000_000), put(), COMMIT], [], String(2 ** 60))).toBe('floor w web01');
  expect(await saidBy([open(join(folder, 'repos/db01'))])).toMatch(/^path r /);
  expect(await saidBy([open(join(folder, 'repos/db01')), open(repository), ['list']])).toMatch(/^path r /);

  const other = await session();
  await other.call(...writing);
  expect(await saidBy([writing])).toBe('lock-held r web01');
  await other.kill();

  const robbed = await session();
  await robbed.callAll([writing, put()]);
  expect(await saidBy([open(repository, { lock: false }), ['break_lock']])).toBe('well r web01');
  expect(await robbed.callAll([put()])).toContain('the lock of this session was broken');
  await robbed.end();
  await until('the word of the session', () => lines().at(-1)?.endsWith(' lock-broken w web01') === true);

  const config = join(repository, 'config');
  chownSync(config, 0, 0);
  chmodSync(config, 0o600);
  expect(await saidBy([open(repository)])).toBe('permission r web01');
  chownSync(config, NOBODY, NOBODY);
  chownSync(join(repository, 'data/0'), 0, 0);
  chmodSync(join(repository, 'data/0'), 0o755);
  expect(await saidBy([writing, put(), COMMIT])).toBe('permission w web01');
  chownSync(join(repository, 'data/0'), NOBODY, NOBODY);
  writeFileSync(config, 'nothing that borg writes');
  expect(await saidBy([open(repository)])).toBe('damaged r web01');

  // Nothing is said in three cases: nobody has made a repository there yet; the client asks for something that borg does not have; the
  // session is killed.
  const before = lines().length;
  rmSync(repository, { recursive: true });
  mkdirSync(repository);
  chownSync(repository, NOBODY, NOBODY);
  const client = await session();
  expect(await client.callAll([open(repository)])).toContain('exception');
  expect(await client.callAll([['no_such_call']])).toContain('exception');
  await client.kill();
  const gone = await session();
  gone.borg.stdout.destroy();
  await gone.end();
  expect(lines().length).toBe(before);
});

test('a session goes on if nobody listens', async () => {
  listener.stdin.end();
  await until('the listener to end', () => listener.exitCode !== null);
  const client = await session();
  expect(await client.callAll([open(repository, { create: true, exclusive: true }), put(), COMMIT])).not.toContain(
    'exception',
  );
  expect(await client.callAll([open(join(folder, 'repos/db01'))])).toContain('PathNotAllowed');
  expect(await client.end()).toBe(0);
});

/** Connects once for each word, and says it. */
const SPEAK = `
import socket, sys
for word in sys.argv[2:]:
    try:
        mouth = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mouth.connect(sys.argv[1])
        mouth.send(word.encode('utf-8', 'surrogateescape'))
        mouth.recv(1)
    except OSError:
        pass
`;

test('any other process is heard once: the kernel says who it is, its text is cut and has no control characters; root is not heard', async () => {
  expect(statSync(socket()).mode & 0o777).toBe(0o666);
  const speak = (uid: number, ...words: readonly string[]) =>
    spawnSync(findBorg().python, ['-I', '-c', SPEAK, socket(), ...words], { uid, gid: uid });
  speak(0, 'no-space w web01');
  speak(
    NOBODY,
    'no-space w web01\nready\n65533 1 1 floor w db01',
    ...Array.from({ length: 200 }, () => 'floor w db01'),
  );
  speak(1, 'x'.repeat(100_000));
  speak(2, 'y'.repeat(1099));
  await until('the last word', () => lines().length >= 3);
  expect(lines().length).toBe(3);
  expect(lines()[0]).toMatch(/^65534 \d+ \d+ no-space w web01\\012ready\\01265533 1 1 floor w db01$/);
  expect(lines()[1]).toMatch(/^1 \d+ \d+ x{1100}$/);
});

/** A process of root's with a child of the account's. That child speaks, or has a child that speaks. It prints their pids. */
const BELOW = `
import os, socket, sys
def speak():
    mouth = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mouth.connect(sys.argv[1])
    mouth.send(b'floor w web01')
    mouth.recv(1)
print(os.getpid(), flush=True)
if os.fork() == 0:
    os.setresuid(65534, 65534, 65534)
    print(os.getpid(), flush=True)
    if sys.argv[2] == 'child':
        speak()
    elif os.fork() == 0:
        speak()
    else:
        os.wait()
    os._exit(0)
os.wait()
`;

test.each([
  ['a process that root has forked, as the session host does, is named itself', 'child', 1],
  ['a process below the account’s own one, as under sshd, is named by the root process above both', 'grandchild', 0],
] as const)('%s', async (_, who, named) => {
  const { stdout, stderr } = spawnSync(findBorg().python, ['-I', '-c', BELOW, socket(), who], { encoding: 'utf8' });
  const pids = stdout.trim().split('\n');
  await until('the word of the session', () => lines().length > 0);
  expect(lines(), stderr).toEqual([
    expect.stringMatching(new RegExp(`^65534 ${pids[named]} [1-9]\\d* floor w web01$`)),
  ]);
});
