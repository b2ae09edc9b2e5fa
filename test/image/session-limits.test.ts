import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { until } from '../e2e/harness/machine.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { hintsWithDeletions, indexWithRoom } from './large-repository.ts';
import { type Call, converse, launch } from './launched-session.ts';

// What one account can make its sessions do with a client that is not borg. The session does not run as root, since some limits do not hold
// for root.

/** An account that every Debian has, and the image, too. Sessions of an account are counted, and no other test file uses this account. */
const ACCOUNT = { account: '_apt', uid: 42 };
const MEGABYTE = 1_000_000;

let folder: string;
let repository: string;
let running: ReturnType<typeof launch>[];

const session = async (memory = 'auto') => {
  const before = ['--account', ACCOUNT.account, '--sessions', '50', '--memory', memory];
  const launcher = join(folder, 'borg-serve');
  const borg = launch({ ...{ launcher, repos: folder, repository, before }, ...ACCOUNT });
  running.push(borg);
  return converse(borg);
};

const EXCLUSIVE = { exclusive: true };
const put = (id: string | Uint8Array, data: Uint8Array = Buffer.of()): Call => [
  'put',
  { id: typeof id === 'string' ? Buffer.from(id.padEnd(32, '.')) : id, data },
];
const COMMIT: Call = ['commit', { save_space: false, compact: false, threshold: 0 }];
const MANIFEST = Buffer.alloc(32);

/** A figure of /proc/PID/status in bytes; 0 once it has ended. */
const memoryOf = (pid: number, name: 'VmHWM' | 'VmRSS'): number => {
  try {
    const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
};

beforeEach(async () => {
  running = [];
  folder = mkdtempSync(join(tmpdir(), 'session-limits-'));
  chmodSync(folder, 0o755);
  await installLauncher(folder, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
  repository = join(folder, 'web01');
  mkdirSync(repository);
  chownSync(repository, ACCOUNT.uid, ACCOUNT.uid);
  const first = await session();
  await first.call(...open(repository, { create: true, ...EXCLUSIVE }));
  await first.callAll([put('first', Buffer.from('precious')), COMMIT]);
  await first.end();
});

afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const locks = (): readonly string[] => readdirSync(repository).filter((name) => name.startsWith('lock.'));

test('a session can start no process, opens few files, leaves no core, and is the first to be ended when memory runs out', async () => {
  const { pid } = await session();
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  expect(limits).toMatch(/^Max processes +0 +0 /m);
  expect(limits).toMatch(/^Max open files +256 +256 /m);
  expect(limits).toMatch(/^Max core file size +0 +0 /m);
  expect(limits).toMatch(/^Max data size +268435456 /m);
  expect(Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'))).toBe(300);
});

describe('a session that has to give way, in a moment in which the kernel takes no such change', () => {
  /** Runs a program of Python as the account, in an autogroup of its own (sched(7)). `refused` ends when the kernel takes no change. */
  const giveWay = (program: string) => {
    const head = `
import os, sys, time
sys.path.insert(0, sys.argv[1])
from launcher import crowd
group = open('/proc/self/autogroup', 'r+b', buffering=0)
def refused():
    while True:  # it takes ten changes a second
        try:
            os.write(group.fileno(), b'1')
        except BlockingIOError:
            return
`;
    // After setpriv its file in /proc belongs to the account (proc(5)).
    const before = ['--reuid', `${ACCOUNT.uid}`, '--clear-groups', 'setsid', '--wait', findBorg().python, '-I', '-c'];
    return promisify(execFile)('setpriv', [...before, head + program, folder], { cwd: '/' });
  };

  test('does so a little later', async () => {
    const { stdout } = await giveWay(`
refused()
crowd.give_way(3)
end, nice = time.monotonic() + 60, b'1'
while nice != b'3' and time.monotonic() < end:
    time.sleep(0.02)
    group.seek(0)
    nice = group.read().split()[-1]
print(os.nice(0), nice.decode())
`);
    expect(stdout).toBe('3 3\n');
  });

  test('is not killed by its timer if it ends before that', async () => {
    const { stdout } = await giveWay(`
class SlowToEnd:
    def __del__(self, wait=time.sleep, say=os.write):
        wait(0.5)
        say(1, b'ended by itself')
slow = SlowToEnd()
refused()
crowd.give_way(3)
`);
    expect(stdout).toBe('ended by itself');
  });
});

test('lists within lists without end get a sentence and do not fill the memory of the server; the lock is free, and others go on', async () => {
  const other = await session();
  await other.call(...open(repository));
  const client = await session();
  await client.call(...open(repository));

  // A request whose arguments never come to an end; each two bytes of it become a tuple of 64.
  const list = (items: Uint8Array) => Buffer.concat([Buffer.of(0xdc, 0, 100), items]);
  const lists = Buffer.concat(Array.from({ length: 99 }, () => list(Buffer.alloc(200, Buffer.of(0x91, 0)))));
  client.borg.stdin.write(Buffer.of(0x81, 0xa1, 0x69));
  let most = 0;
  for (let sent = 0; sent < 3000 && client.borg.exitCode === null; sent += 1) {
    most = Math.max(most, memoryOf(client.pid, 'VmHWM'));
    if (!client.borg.stdin.write(list(lists)))
      await Promise.race([once(client.borg.stdin, 'drain').catch(() => {}), client.exited]);
  }

  expect(await client.end()).toBe(1);
  expect(client.said()).toMatch(/^The server ended the session: .* more memory .*SESSION_MEMORY, here auto\)\.\n$/);
  expect(most).toBeGreaterThan(100 * MEGABYTE);
  expect(most).toBeLessThan(300 * MEGABYTE);

  expect(await other.call('get', { id: 'first'.padEnd(32, '.') })).toContain('precious');
  await other.end();
  expect(locks()).toEqual([]);
});

test('objects of the largest size fill no memory if a client asks for them and never reads them', async () => {
  const client = await session();
  await client.call(...open(repository, EXCLUSIVE));
  await client.callAll([put('large', Buffer.alloc(20_971_400, 1))]);
  client.borg.stdout.pause();
  const get: Call = ['get', { id: 'large'.padEnd(32, '.') }];
  const before = memoryOf(client.pid, 'VmHWM');
  void client.callAll(Array.from({ length: 1000 }, () => get)).catch(() => {});
  await until('the session to stand', () => memoryOf(client.pid, 'VmHWM') > before);
  expect(memoryOf(client.pid, 'VmHWM')).toBeLessThan(200 * MEGABYTE);
});

test('the limit follows the index that is really there, unless the operator has set one', async () => {
  indexWithRoom(repository, 240 * MEGABYTE);
  const client = await session();
  await client.call(...open(repository, EXCLUSIVE));
  expect(await client.callAll([put('second'), COMMIT])).not.toContain('exception');
  expect(memoryOf(client.pid, 'VmHWM')).toBeGreaterThan(240 * MEGABYTE);
  await client.end();

  const index = readdirSync(repository).filter((name) => name.startsWith('index.'));
  const narrow = await session('200000000');
  await narrow.call(...open(repository, EXCLUSIVE));
  for (const call of [
    put('third'),
    ['get', { id: 'first'.padEnd(32, '.') }],
    ['list', { limit: null, marker: null }],
  ] as const) {
    const answer = await narrow.callAll([call]);
    expect(answer).toContain('more memory than the server allows it (the setting SESSION_MEMORY, here 200 MB)');
    // borg's clients show a traceback with every error that is not marked as a plain one.
    expect(answer).toContain('exception_trace\xc2');
  }
  expect(await narrow.end()).toBe(0);
  expect(narrow.said()).toBe('');
  expect(readdirSync(repository).filter((name) => name.startsWith('index.'))).toEqual(index);
  expect(locks()).toEqual([]);
});

test('the memory for deleted objects is checked in advance, so that borg does not take the repository for damaged', async () => {
  const hints = hintsWithDeletions(repository, 1_000_000);
  const client = await session('200000000');
  await client.call(...open(repository, EXCLUSIVE));
  expect(await client.callAll([put('second')])).toContain('SESSION_MEMORY');
  await client.end();
  expect(readFileSync(hints).length).toBeGreaterThan(10 * MEGABYTE);

  const wide = await session();
  await wide.call(...open(repository, EXCLUSIVE));
  expect(await wide.callAll([put('second'), COMMIT])).not.toContain('exception');
  await wide.end();
  const [renewed = ''] = readdirSync(repository).filter((name) => name.startsWith('hints.'));
  expect(readFileSync(join(repository, renewed)).length).toBeGreaterThan(10 * MEGABYTE);
});

test('a client that only uses up inodes is slowed down, also in new sessions, and nobody else is', async () => {
  type Client = Awaited<ReturnType<typeof session>>;
  const timed = async (client: Client, calls: readonly Call[]): Promise<number> => {
    const begin = performance.now();
    expect(await client.callAll(calls)).not.toContain('exception');
    return performance.now() - begin;
  };
  /** A client that is slowed down waits for a second or longer on any machine. On a busy machine others may take as long, but not each time. */
  const WAIT = 1000;
  const isFast = async (client: Client): Promise<boolean> => {
    for (let time = 0; time < 30; time += 1) if ((await timed(client, [put(MANIFEST), COMMIT])) < WAIT) return true;
    return false;
  };

  // As many as it may make within a day at full speed, except these few. borg goes on after the highest number.
  const spent = join(repository, 'data/9');
  mkdirSync(spent);
  chownSync(spent, ACCOUNT.uid, ACCOUNT.uid);
  for (const segment of ['9700', '9701']) {
    copyFileSync(join(repository, 'data/0/1'), join(spent, segment));
    chownSync(join(spent, segment), ACCOUNT.uid, ACCOUNT.uid);
  }
  const past = Date.now() / 1000 - 200;
  for (const each of ['0', '1']) utimesSync(join(repository, 'data/0', each), past, past);

  const client = await session();
  await client.call(...open(repository, EXCLUSIVE));
  const usual: number[] = [];
  // Two files each, and these two.
  for (let commit = 0; commit < 149; commit += 1) usual.push(await timed(client, [put('x'), COMMIT]));
  expect(usual.sort((a, b) => a - b)[74]).toBeLessThan(WAIT);
  expect(await timed(client, [put('x'), COMMIT])).toBeGreaterThan(WAIT);
  await client.end();

  const again = await session();
  await again.call(...open(repository, EXCLUSIVE));
  expect(await timed(again, [put(MANIFEST)])).toBeGreaterThan(WAIT);
  await again.callAll([COMMIT]);

  const segments = readdirSync(spent).map((name) => join(spent, name));
  for (const each of segments) utimesSync(each, past, past);
  expect(await isFast(again)).toBe(true);

  // A backup of much data makes many files, too, but large ones.
  for (const each of segments) utimesSync(each, new Date(), new Date());
  expect(await timed(again, [put('x'), COMMIT])).toBeGreaterThan(WAIT);
  for (const each of segments) truncateSync(each, 2 * MEGABYTE);
  expect(await isFast(again)).toBe(true);
});
