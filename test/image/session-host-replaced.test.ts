import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadedFiles } from '../../src/borg/loaded-files.ts';
import { memoryOf } from '../../src/sessions/host-age.ts';
import type { ProcessId } from '../../src/sessions/process.ts';
import { isAlive } from '../../src/sessions/processes.ts';
import { until } from '../e2e/harness/machine.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { type CopiedBorg, copyBorg } from './copied-borg.ts';
import { type ClientOptions, hostProgram, prepareHost, removeHost, startClient } from './hosted-session.ts';
import { converse } from './launched-session.ts';
import { type LookedAfterHost, lookAfterHost } from './looked-after-host.ts';

// The daemon replaces a host if its borg has changed on the disk, or if it has grown. Here this is a real host with sessions.

const COMMIT = ['commit', { save_space: false, compact: false, threshold: 0 }] as const;
/** An account that no other test file uses: sessions are counted. */
const ACCOUNT = { account: 'upgraded', uid: 30_401 };
const QUICK = { look: 100 };

let [folder, environment] = ['', ''];
let borg: CopiedBorg;
let host: LookedAfterHost;
let running: ChildProcessWithoutNullStreams[] = [];

beforeAll(async () => {
  environment = await mkdtemp(join(tmpdir(), 'copied-borg-'));
  borg = await copyBorg(environment);
});
afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  running = [];
  host?.daemon.close();
  removeHost(folder);
});
afterAll(() => rm(environment, { recursive: true }));

const client = (options: ClientOptions = {}): ChildProcessWithoutNullStreams => {
  const started = startClient(folder, { ...ACCOUNT, ...options });
  running.push(started);
  return started;
};

const session = () => converse(client());

/** What a client hears that asks for the version. It hears "COLD" if it does not get to a host. */
const version = async (): Promise<string> => {
  const asks = client({ command: 'borg --version' });
  asks.stdin.end();
  let said = '';
  for (const each of [asks.stdout, asks.stderr]) {
    each.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  await once(asks, 'close');
  return said.trim();
};

const repository = (): string => `${folder}/repos/${ACCOUNT.account}`;
const id = (name: string): string => name.padEnd(32, '.');

type Session = Awaited<ReturnType<typeof session>>;
const write = async (borgOf: Session, name: string): Promise<void> => {
  for (const [method, args] of [['put', { id: id(name), data: Buffer.from(`data of ${name}`) }], COMMIT] as const)
    expect(await borgOf.call(method, args)).not.toContain('exception');
};
const expectAll = async (borgOf: Session, ...names: readonly string[]): Promise<void> => {
  for (const name of names) expect(await borgOf.call('get', { id: id(name) })).toContain(`data of ${name}`);
};
const openIt = async (borgOf: Session, create = false): Promise<void> =>
  expect(await borgOf.call(...open(repository(), { create, exclusive: true }))).not.toContain('exception');

/** The host that has replaced the first one. */
const successor = async (): Promise<ProcessId> => {
  await until('another host', () => host.said(/was replaced/).length > 0);
  return host.current();
};

test('borg is upgraded while sessions run: they go on, no client waits or starts cold, and new sessions have the new borg', async () => {
  folder = await prepareHost({ ...ACCOUNT, python: borg.python });
  const program = { ...hostProgram(folder), python: borg.python };
  host = await lookAfterHost(folder, { program, files: await loadedFiles(borg.python), times: QUICK });
  const first = await host.current();
  const before = await session();
  await openIt(before, true);
  await write(before, 'before');
  expect(await version()).toBe(`borg ${borg.version}`);

  const heard: string[] = [];
  const next = `${borg.version}99`;
  let over = false;
  const asking = (async () => {
    for (; !over; ) heard.push(await version());
  })();
  // A package manager takes its time.
  borg.break();
  await until('the daemon to say that there is no new one', () => host.said(/could not be replaced/).length > 0);
  const amid = heard.length;
  await until('the old one to serve all the same', () => heard.length > amid + 2);
  // The old host has everything in its memory that a session needs, even for an error.
  const during = await session();
  expect(await during.call(...open(repository()))).toContain('LockTimeout');
  await write(before, 'during');
  borg.upgrade(next);
  await successor();
  await until('the new one to have served', () => heard.at(-1) === `borg ${next}`);
  over = true;
  await asking;
  expect(new Set(heard)).toEqual(new Set([`borg ${borg.version}`, `borg ${next}`]));
  expect(heard.lastIndexOf(`borg ${borg.version}`)).toBeLessThan(heard.indexOf(`borg ${next}`));
  // There are two replacements if a host began amid the upgrade.
  for (const each of host.said(/was replaced/)) expect(each.reason).toBe('borg or its interpreter has changed');
  expect(host.said(/does not run/)).toEqual([]);

  await write(before, 'after');
  await expectAll(before, 'before', 'during', 'after');
  expect(await during.end()).toBe(0);
  expect(isAlive(first)).toBe(true);
  expect(await before.end()).toBe(0);
  await until('the old host to end', () => !isAlive(first));
  const after = await session();
  await openIt(after);
  await expectAll(after, 'before', 'during', 'after');
  expect(await after.end()).toBe(0);
});

/** A host with a memory leak, which begins on command. */
const LEAK = `
import runpy, signal, sys
kept = []
signal.signal(signal.SIGURG, lambda *_: kept.append(b'x' * 60_000_000))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name='__main__')
`;

test('a host that has grown is replaced while it has sessions; their memory does not count as its own', async () => {
  folder = await prepareHost(ACCOUNT);
  const { python, program, environment: variables } = hostProgram(folder);
  writeFileSync(`${folder}/leak.py`, LEAK);
  host = await lookAfterHost(folder, {
    program: { python, program: [`${folder}/leak.py`, ...program], environment: variables },
    times: QUICK,
  });
  const first = await host.current();
  const borgs = [await session(), await session(), await session()];
  const [one, ...others] = borgs as [Session, Session, Session];
  await openIt(one, true);
  await write(one, 'before');
  const size = memoryOf(first);
  process.kill(first.pid, 'SIGURG');
  const second = await successor();
  expect(host.said(/was replaced/)).toEqual([expect.objectContaining({ reason: 'its memory has grown' })]);
  expect(memoryOf(second)).toBeLessThan(size + 16e6);
  await write(one, 'after');
  for (const each of others) expect(await each.end()).toBe(0);
  const late = await session();
  expect(isAlive(first)).toBe(true);
  await expectAll(one, 'before', 'after');
  expect(await one.end()).toBe(0);
  await until('the old host to end', () => !isAlive(first));
  expect(await late.end()).toBe(0);
  // The next growth is measured from its size at the start.
  expect(host.daemon.state()).toEqual({ running: true, coldSince: null, ends: 0 });
});
