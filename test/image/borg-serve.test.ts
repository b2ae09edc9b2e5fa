import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { type Call, converse, launch } from './launched-session.ts';

// Requests that borg's own client never sends. They go to the launcher with the installed borg.

const LAUNCHER = join(import.meta.dirname, '../../image/borg-serve');

let repos: string;
let repository: string;
let running: ChildProcessWithoutNullStreams[];

beforeEach(async () => {
  repos = mkdtempSync(join(tmpdir(), 'borg-serve-'));
  repository = join(repos, 'web01');
  running = [];
  mkdirSync(repository);
  const first = await session();
  await first.call(...open(repository, { create: true }));
  await first.end();
});

afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  rmSync(repos, { recursive: true });
});

/** A session on the repository web01. It runs as root here. */
const session = async (...more: readonly string[]) => {
  const borg = launch({ launcher: LAUNCHER, repos, repository, account: 'web01', more });
  running.push(borg);
  return converse(borg);
};

const object = (name: string, data: Uint8Array) => ['put', { id: name.padEnd(32, '.'), data }] as const;
const get = (name: string) => ['get', { id: name.padEnd(32, '.') }] as const;
const commit = ['commit', { save_space: false, compact: false, threshold: 0 }] as const;
const EXCLUSIVE = { exclusive: true };

/** The objects that have been written, committed or not. */
const segmentBytes = (): number => {
  const segments = join(repository, 'data/0');
  const names = existsSync(segments) ? readdirSync(segments) : [];
  return names.reduce((sum, name) => sum + statSync(join(segments, name)).size, 0);
};

test('a session does not load borg’s test suite, which plain borg serve does', () => {
  const { path, python } = findBorg();
  const loaded = (words: readonly string[], env: NodeJS.ProcessEnv): string =>
    spawnSync(python, ['-I', '-X', 'importtime', ...words], { env, input: '', encoding: 'utf8' }).stderr;
  const serve = ['serve', '--restrict-to-repository', repository];
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', BORG_BASE_DIR: repos };
  expect(loaded([path, ...serve], env)).toContain('borg.testsuite');
  const ours = loaded([LAUNCHER, '--session', '', '--', ...serve], { ...env, SSH_ORIGINAL_COMMAND: 'borg serve' });
  expect(ours).toContain('borg.archiver');
  expect(ours).not.toContain('borg.testsuite');
});

test('a session does not ask the kernel for memory with every message, which plain borg serve does', async () => {
  const borg = launch({ launcher: LAUNCHER, repos, repository, account: 'web01' });
  running.push(borg);
  const reader = await converse(borg);
  await reader.call(...open(repository, { lock: false }));
  await reader.call(...get('nothing'));
  // proc_pid_stat(5), field 10: page faults without a disk.
  const faults = (): number =>
    Number(
      readFileSync(`/proc/${borg.pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[7],
    );
  const before = faults();
  for (let message = 0; message < 500; message += 1) await reader.call(...get('nothing'));
  expect(faults() - before).toBeLessThan(500);
  await reader.end();
});

test('a session does not work out the parameters of a method with every message, which plain borg serve does', async () => {
  const borg = launch({ launcher: LAUNCHER, repos, repository, account: 'web01', python: ['-m', 'cProfile'] });
  running.push(borg);
  let said = '';
  borg.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  const reader = await converse(borg);
  await reader.call(...open(repository, { lock: false }));
  for (let message = 0; message < 500; message += 1) await reader.call(...get('nothing'));
  await reader.end();
  const calls = (name: string): number => Number(new RegExp(`^ +(\\d+).*\\(${name}\\)$`, 'm').exec(said)?.[1]);
  expect(calls('signature')).toBeGreaterThan(500);
  expect(calls('_signature_from_function')).toBeLessThan(250);
});

test('nobody writes without the lock: it would remove what another session is writing', async () => {
  const writer = await session('--append-only');
  await writer.call(...open(repository, EXCLUSIVE));
  await writer.call(...object('backup', Buffer.from('precious')));

  for (const role of [['--append-only'], []]) {
    const intruder = await session(...role);
    expect(await intruder.call(...open(repository, { lock: false }))).not.toContain('exception');
    expect(await intruder.call(...object('rubbish', Buffer.from('rubbish')))).toContain('only with its lock');
    await intruder.end();
  }

  expect(await writer.call(...commit)).not.toContain('exception');
  await writer.end();
  const reader = await session();
  await reader.call(...open(repository, { lock: false }));
  expect(await reader.call(...get('backup'))).toContain('precious');
});

test('what a transaction has left that was rolled back is not committed afterwards, by any role', async () => {
  const writer = await session();
  await writer.call(...open(repository, EXCLUSIVE));
  await writer.callAll([object('backup', Buffer.from('precious')), commit]);
  await writer.end();
  for (const role of [['--append-only'], []]) {
    const thief = await session(...role);
    await thief.call(...open(repository, EXCLUSIVE));
    await thief.call('delete', { id: 'backup'.padEnd(32, '.') });
    await thief.call('rollback');
    expect(await thief.call('list', {})).not.toContain('exception');
    expect(await thief.call(...commit)).toContain('there is nothing to commit');
    await thief.end();
    // What it has left goes, and counts no more.
    const next = await session();
    await next.call(...open(repository, EXCLUSIVE));
    expect(await next.callAll([object('later', Buffer.of(1)), commit])).not.toContain('exception');
    await next.call('check', { repair: true, save_space: false });
    expect(await next.call(...get('backup'))).toContain('precious');
    await next.end();
  }
});

test('an append-only session does not break the lock of a process that is alive', async () => {
  const holder = await session();
  await holder.call(...open(repository, EXCLUSIVE));
  const intruder = await session('--append-only');
  await intruder.call(...open(repository, { lock: false }));
  expect(await intruder.call('break_lock')).toContain('a process that is alive');
  expect(await intruder.call(...open(repository, EXCLUSIVE))).toContain('LockTimeout');
  expect(readdirSync(join(repository, 'lock.exclusive'))).toHaveLength(1);

  await holder.kill();
  const next = await session('--append-only');
  await next.call(...open(repository, { lock: false }));
  expect(await next.call('break_lock')).not.toContain('exception');
  expect(readdirSync(repository).filter((name) => name.startsWith('lock.'))).toEqual([]);
});

test('a session of another role breaks it, as borg does', async () => {
  const holder = await session();
  await holder.call(...open(repository, EXCLUSIVE));
  const other = await session();
  await other.call(...open(repository, { lock: false }));
  expect(await other.call('break_lock')).not.toContain('exception');
  expect(readdirSync(repository).filter((name) => name.startsWith('lock.'))).toEqual([]);
});

test('a session does not break its own lock, and writes nothing more once somebody else has broken it', async () => {
  const first = await session();
  await first.call(...open(repository, EXCLUSIVE));
  await first.call(...object('first', Buffer.from('first')));
  await first.call(...commit);
  await first.end();
  for (const role of [['--append-only'], []]) {
    const writer = await session(...role);
    // Like a client of borg 1.0: for it the server itself takes the lock when it is about to write.
    await writer.call(...open(repository, { exclusive: null }));
    expect(await writer.call(...object('mine', Buffer.from('mine')))).not.toContain('exception');
    expect(await writer.call('break_lock')).toContain('has a lock itself');
    const admin = await session();
    await admin.call(...open(repository, { lock: false }));
    expect(await admin.call('break_lock')).not.toContain('exception');
    const lost = 'the lock of this session was broken';
    expect(await writer.call(...object('more', Buffer.from('more')))).toContain(lost);
    expect(await writer.call(...commit)).toContain(lost);
    expect(await writer.call('rollback')).not.toContain('exception');
    expect(await writer.call(...object('more', Buffer.from('more')))).toContain(lost);
    // Once there is an index again, the rest of the earlier transaction would be committed.
    expect(await writer.call('__len__')).not.toContain('exception');
    expect(await writer.call(...commit)).toContain(lost);
    await writer.kill();
  }
});

test('a repository that was opened before does not take the lock along', async () => {
  const client = await session('--append-only', '--storage-quota=10M');
  await client.call(...open(repository, EXCLUSIVE));
  // The error keeps the repository alive until Python's garbage collector finds the cycle.
  for (let count = 0; count < 9; count += 1) await client.call(...object(`chunk ${count}`, Buffer.alloc(1_000_000)));
  expect(await client.call(...object('too much', Buffer.alloc(1_000_000)))).toContain('StorageQuotaExceeded');
  await client.call(...open(repository, EXCLUSIVE));
  for (let count = 0; count < 2000; count += 1) await client.call('inject_exception', { kind: 'divide' });
  expect(existsSync(join(repository, 'lock.exclusive'))).toBe(true);
});

test('a call that fails halfway is undone: neither the quota nor the index is forgotten', async () => {
  const data = Buffer.alloc(1_000_000, 1);
  const shared = await session('--append-only', '--storage-quota=10M');
  await shared.call(...open(repository, { exclusive: false }));
  await shared.call(...object('first', data));
  await shared.call('__len__');
  for (let count = 0; count < 3; count += 1) await shared.call(...object(`more ${count}`, data));
  expect(segmentBytes()).toBeLessThan(1_000_000);
  await shared.end();

  const client = await session('--append-only', '--storage-quota=10M');
  await client.call(...open(repository, EXCLUSIVE));
  for (let round = 0; round < 4; round += 1) {
    for (let count = 0; count < 6; count += 1) await client.call(...object(`round ${round}, ${count}`, data));
    await client.call(...commit);
    expect(await client.call('check', { max_duration: Buffer.from('x') })).toContain('TypeError');
  }
  expect(segmentBytes()).toBeLessThan(12_000_000);
  expect(await client.call(...get('round 0, 0'))).not.toContain('exception');
});

test('a check, and a key that is saved, keep what somebody else has changed in the config meanwhile', async () => {
  const config = (): string => readFileSync(join(repository, 'config'), 'utf8');
  const early = await session('--append-only');
  await early.call(...open(repository, EXCLUSIVE));
  await early.call(...object('something', Buffer.from('something')));
  await early.call(...commit);
  await early.call('save_key', { keydata: Buffer.from('OLD') });
  const owner = await session();
  await owner.call(...open(repository, { lock: false }));
  await owner.call('save_key', { keydata: Buffer.from('NEW') });
  writeFileSync(join(repository, 'config'), config().replace(/^storage_quota = 0$/m, 'storage_quota = 7'));

  expect(await early.call('check', {})).not.toContain('exception');
  expect(config()).toMatch(/^key = NEW$/m);
  await owner.call('save_key', { keydata: Buffer.from('NEWER') });
  expect(config()).toMatch(/^storage_quota = 7$/m);
  await early.end();

  const partial = await session('--append-only');
  await partial.call(...open(repository, EXCLUSIVE));
  expect(await partial.call('check', { max_duration: 1e-9 })).not.toContain('exception');
  expect(config()).toMatch(/^last_segment_checked = \d+$/m);
  expect(config()).toMatch(/^key = NEWER$/m);
});

test('nobody else waits for a session that does not finish', async () => {
  const holder = spawn('flock', [repository, 'sleep', '60'], { stdio: 'ignore' });
  running.push(holder as ChildProcessWithoutNullStreams);
  const client = await session('--append-only');
  await client.call(...open(repository, { lock: false }));
  const answers = async () => client.call('save_key', { keydata: Buffer.from('KEY') });
  await expect.poll(answers).toContain('does not finish');
});

test('an append-only session lowers no nonce', async () => {
  const client = await session('--append-only');
  await client.call(...open(repository, EXCLUSIVE));
  const reserve = (next: number, from: number | null) =>
    client.call('commit_nonce_reservation', { next_unreserved: next, start_nonce: from });
  expect(await reserve(50, null)).not.toContain('exception');
  expect(await reserve(0, 50)).toContain('only raises the nonce');
  expect(await reserve(100, 50)).not.toContain('exception');
});

test('above its quota nothing more is written, however often a client asks', async () => {
  const client = await session('--storage-quota=10M');
  await client.call(...open(repository, EXCLUSIVE));
  const data = Buffer.alloc(1_000_000, 1);
  for (let index = 0; index < 30; index += 1) {
    const answer = await client.call(...object(`chunk ${index}`, data));
    expect(answer.includes('StorageQuotaExceeded')).toBe(index >= 9);
  }
  expect(segmentBytes()).toBe(0);
});

test('before the first commit, too, what is rolled back is removed from the disk, and the quota does not start at zero again', async () => {
  const client = await session('--append-only', '--storage-quota=10M');
  await client.call(...open(repository, EXCLUSIVE));
  for (let index = 0; index < 3; index += 1) {
    expect(await client.call(...object('first', Buffer.alloc(6_000_000, 1)))).not.toContain('exception');
    await client.call('rollback');
    expect(segmentBytes()).toBe(0);
  }
  expect(await client.callAll([object('kept', Buffer.of(1)), commit])).not.toContain('exception');
  expect(await client.call(...get('kept'))).not.toContain('exception');
  await client.end();
});

test('if a damaged repository has no commit left, only what this session wrote is rolled back', async () => {
  const before = await session();
  await before.call(...open(repository, EXCLUSIVE));
  await before.callAll([object('kept', Buffer.alloc(500_000, 1)), commit]);
  await before.end();
  for (const name of readdirSync(repository))
    if (/^(index|hints|integrity)\./.test(name)) rmSync(join(repository, name));
  const segments = join(repository, 'data/0');
  for (const name of readdirSync(segments)) if (statSync(join(segments, name)).size < 100) rmSync(join(segments, name));
  const bytes = segmentBytes();
  expect(bytes).toBeGreaterThan(500_000);

  const client = await session();
  await client.call(...open(repository, EXCLUSIVE));
  await client.call(...object('new', Buffer.alloc(1000, 2)));
  await client.call('rollback');
  expect(segmentBytes()).toBe(bytes);
  await client.end();
  expect(segmentBytes()).toBe(bytes);
});

test.each([['--info'], ['--append-only']])(
  'a transaction that exceeds the quota is removed from the disk at once, and later ones do not bring it back (%s)',
  async (role) => {
    const first = await session(role, '--storage-quota=10M');
    await first.call(...open(repository, EXCLUSIVE));
    expect(await first.callAll([object('kept', Buffer.alloc(5_000_000, 1)), commit])).not.toContain('exception');
    const before = segmentBytes();
    await first.callAll([object('lost', Buffer.alloc(4_000_000, 2))]);
    expect(await first.call(...object('refused', Buffer.alloc(4_000_000, 3)))).toContain('StorageQuotaExceeded');
    expect(segmentBytes()).toBe(before);
    // These calls were on their way already. None counts, since the data before them are lost.
    const following: Call[] = [object('small', Buffer.of(1)), ['delete', { id: 'kept'.padEnd(32, '.') }], commit];
    for (const call of following) expect(await first.call(...call)).toContain('StorageQuotaExceeded');
    expect(segmentBytes()).toBe(before);
    first.borg.kill('SIGTERM');
    await first.exited;
    expect(segmentBytes()).toBe(before);
    expect(readdirSync(repository).filter((name) => name.startsWith('lock.'))).toEqual([]);

    const next = await session(role, '--storage-quota=10M');
    await next.call(...open(repository, EXCLUSIVE));
    expect(await next.callAll([object('small', Buffer.of(1)), commit])).not.toContain('exception');
    for (const lost of ['lost', 'refused']) expect(await next.call(...get(lost))).toContain('ObjectNotFound');
    expect(await next.call('check', { repair: false, save_space: false })).toContain('\xc3');
    await next.end();
  },
);

test('a key that would damage the config of the repository is refused', async () => {
  const config = readFileSync(join(repository, 'config'), 'utf8');
  const client = await session('--append-only');
  await client.call(...open(repository, EXCLUSIVE));
  for (const key of ['AAAA\rid = 1', '\0', 'ä', 'A'.repeat(20_000)]) {
    expect(await client.call('save_key', { keydata: Buffer.from(key) })).toContain('not a key of borg');
  }
  expect(readFileSync(join(repository, 'config'), 'utf8')).toBe(config);
  expect(await client.call('save_key', { keydata: 'QUFB\nQUJD\n' })).not.toContain('exception');
  expect(await client.call('load_key')).toContain('QUFB');
});

test('a key that an append-only session replaces is kept as borg exports it; after a hundred keys none can be replaced', async () => {
  const kept = join(repository, 'former-keys');
  const change = async (client: Awaited<ReturnType<typeof session>>, key: string): Promise<string> =>
    client.call('save_key', { keydata: Buffer.from(`${key}\n`) });
  const owner = await session();
  await owner.call(...open(repository, { lock: false }));
  await change(owner, 'FIRST');
  await change(owner, 'SECOND');
  expect(existsSync(kept)).toBe(false);

  // A session that has read the first key and does not know of the second.
  const intruder = await session('--append-only');
  await intruder.call(...open(repository, { lock: false }));
  await change(owner, 'THIRD');
  expect(await change(intruder, 'THIRD')).not.toContain('exception');
  expect(existsSync(kept)).toBe(false);
  for (let count = 0; count < 100; count += 1)
    expect(await change(intruder, `RUBBISH ${count}`)).not.toContain('exception');
  const files = readdirSync(kept).sort();
  expect(files).toHaveLength(100);
  const { id } = /^id = (?<id>\w{64})$/m.exec(readFileSync(join(repository, 'config'), 'utf8'))?.groups ?? {};
  expect(readFileSync(join(kept, files[0] ?? ''), 'utf8')).toBe(`BORG_KEY ${id}\nTHIRD\n`);
  expect(readFileSync(join(kept, files[99] ?? ''), 'utf8')).toContain('RUBBISH 98');

  expect(await change(intruder, 'ONE TOO MANY')).toContain('former-keys');
  expect(await intruder.call('load_key')).toContain('RUBBISH 99');
});

test('the refusal of a path does not tell which accounts there are', async () => {
  const client = await session();
  const refusal = async (name: string): Promise<string> =>
    (await client.call(...open(`/~${name}/x`))).replaceAll(name, 'NAME').replace(/.*exception_class/s, '');
  const unknown = await refusal('nope');
  expect(unknown).toContain('/~NAME/x');
  expect(await refusal('root')).toBe(unknown);
  expect(await refusal('sshd')).toBe(unknown);
});
