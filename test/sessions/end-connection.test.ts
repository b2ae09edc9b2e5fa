import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { endConnection, signal } from '../../src/sessions/end-connection.ts';
import { newestProcesses } from '../../src/sessions/newest-process.ts';
import type { ProcessId } from '../../src/sessions/process.ts';
import { createTicks, isAlive, listProcesses, readProcess, readWords } from '../../src/sessions/processes.ts';
import { readStatFields } from '../../src/system/proc.ts';
import { until } from '../e2e/harness/machine.ts';

let started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  started = [];
});

/** Resolves with a shell and its children, once it has started them. It has a process group of its own, so that it may signal the whole group. */
const shell = async (script: string): Promise<{ readonly root: ProcessId; readonly below: readonly ProcessId[] }> => {
  const child = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
  started.push(child);
  const { pid = 0 } = child;
  const below = await until('the child of the shell to run', () => {
    const found = listProcesses().filter((each) => each.parent === pid && readWords(each.pid)[0] === 'sleep');
    return found.length > 0 && found;
  });
  const root = readProcess(pid);
  if (!root) throw new Error('the shell has ended');
  return { root, below };
};

const NONE = { over: () => [], isClient: () => false };
const end = (...roots: readonly ProcessId[]) =>
  endConnection({ roots, uid: null, outsiders: async () => [], hosted: NONE });

/** A user id that nobody else has: so all its processes can be found, wherever they are now. */
const LEAVER = 61_234;
const ofLeaver = () => {
  const listed = listProcesses();
  const all = [...listed, ...newestProcesses(new Set(listed.map(({ pid }) => pid)))];
  return all.filter(({ uid, ended }) => uid === LEAVER && !ended);
};
const endLeaver = (root: ProcessId) =>
  endConnection({ roots: [root], uid: LEAVER, outsiders: async () => ofLeaver(), hosted: NONE });

/** Whether the process ignores HUP (proc_pid_status(5)): by that it shows that it is ready. */
const ready = (pid: number): boolean => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (BigInt(`0x${/^SigIgn:\t(\w+)/m.exec(status)?.[1] ?? 0}`) & 1n) === 1n;
};

const isStopped = (pid: number): boolean => {
  try {
    return readStatFields(pid)[0] === 'T';
  } catch {
    return false;
  }
};

/** A Python program with that user id. It should end by itself after some minutes, whatever happens. */
const leaver = async (script: string): Promise<ProcessId> => {
  const head = `import os, signal, time\nend = time.monotonic() + 300\n`;
  const child = spawn('python3', ['-I', '-c', head + script], {
    ...{ stdio: 'ignore', uid: LEAVER, gid: 65_534, cwd: '/' },
  });
  started.push(child);
  await until('the process to be ready', () => ready(child.pid ?? 0));
  return until('the start of the process to be known', () => readProcess(child.pid ?? 0) ?? false);
};

it('a process that leaves its connection while that ends is found, and has ended before the connection counts as ended', async () => {
  const root = await leaver(`
def leave(*_):
    if os.fork(): os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
while time.monotonic() < end: time.sleep(0.05)
`);
  expect(await endLeaver(root)).toBe('killed');
  expect(ofLeaver()).toEqual([]);
});

describe('a process that forks and ends again and again is ended', () => {
  const chains = (): Promise<ProcessId> =>
    leaver(`
# Set before the forks: on a busy machine the children may not have begun when TERM comes.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for each in range(16):
    if os.fork(): continue
    while time.monotonic() < end:
        if os.fork(): os._exit(0)
        time.sleep(0.001)
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
while time.monotonic() < end: time.sleep(0.05)
`);
  const left = (): readonly number[] => Array.from({ length: 20 }, () => ofLeaver().length);
  const NONE_LEFT = Array.from({ length: 20 }, () => 0);

  it('although lists of processes seldom catch it', async () => {
    expect(await endLeaver(await chains())).toBe('killed');
    expect(left()).toEqual(NONE_LEFT);
  });

  it('also where no list ever catches it', async () => {
    const root = await chains();
    // As on a busy machine: what is looked for always comes too late, except while all stand still.
    const seen = async () => ofLeaver().filter(({ pid }) => isStopped(pid));
    expect(await endConnection({ roots: [root], uid: LEAVER, outsiders: seen, hosted: NONE })).toBe('killed');
    expect(left()).toEqual(NONE_LEFT);
  });
});

it('a process that ends on TERM is not killed', async () => {
  const { root, below } = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  expect(await end(root)).toBe('ended');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('a process that ignores TERM is killed after a while, with everything below it', async () => {
  const { root, below } = await shell('trap "" TERM; sleep 1000 & while :; do wait; done');
  expect(await end(root)).toBe('killed');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('processes that are left below one that ended at once are killed, too', async () => {
  const { root, below } = await shell('(trap "" TERM; exec sleep 1000) & wait');
  expect(await end(root)).toBe('killed');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('the client of a hosted session gets no TERM, since its session would get it twice; it is killed if it does not end', async () => {
  const session = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const ended = `${tmpdir()}/told-${session.root.pid}`;
  const client = await shell(`trap "echo told >${ended}" TERM; sleep 1000 & while :; do wait; done`);
  const isClient = ({ pid }: ProcessId): boolean => pid === client.root.pid;
  const roots = [client.root, session.root];
  const how = await endConnection({ roots, uid: null, outsiders: async () => [], hosted: { ...NONE, isClient } });
  expect([how, existsSync(ended)]).toEqual(['killed', false]);
  expect(roots.map((each) => isAlive(each))).toEqual([false, false]);
});

/** Ends a connection. By the session host's word these sessions run over it, wherever the kernel shows them. */
const endHosted = (root: ProcessId, over: () => readonly ProcessId[], uid: number | null = null) => {
  const connection = { connection: root, client: root, uid: LEAVER };
  return endConnection({
    ...{ roots: [root], uid, outsiders: async () => [] },
    hosted: {
      over: ({ pid }) => (pid === root.pid ? over().map((process) => ({ process, ...connection })) : []),
      isClient: () => false,
    },
  });
};

it('hosted sessions are told to end with their connection, and so is what they have started, and a session that begins meanwhile', async () => {
  const connection = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const hosted = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const late = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  // The line about this session comes once the connection has been told.
  const over = () => (isAlive(hosted.root) ? [hosted.root] : [hosted.root, late.root]);
  expect(await endHosted(connection.root, over)).toBe('ended');
  expect([connection, hosted, late].filter(({ root }) => isAlive(root))).toEqual([]);
  // A real hosted session starts nothing. Here the children of a shell end a moment after it.
  const all = [connection, hosted, late].flatMap(({ below }) => below);
  await until('all children to have ended', () => !all.some((each) => isAlive(each)));
});

it.each([null, LEAVER])('a hosted session that ignores TERM is killed after a while (as %s)', async (uid) => {
  const connection = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const root = await leaver(`
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
while time.monotonic() < end: time.sleep(0.05)
`);
  expect(await endHosted(connection.root, () => [root], uid)).toBe('killed');
  expect([connection.root, root].map((each) => isAlive(each))).toEqual([false, false]);
});

it('another process that now has the pid gets no signal, nor does anything below it', async () => {
  const { root, below } = await shell('sleep 1000 & wait');
  const former = { pid: root.pid, start: root.start - 1 };
  expect(isAlive(former)).toBe(false);
  signal(former, 'SIGKILL');
  expect(await end(former)).toBe('ended');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([true, true]);
});

it('the time of now is not before the start of a process that runs, and before the start of a later one', async () => {
  const { root } = await shell('sleep 1000 & wait');
  const ticks = createTicks();
  const now = ticks();
  expect(root.start).toBeLessThanOrEqual(now);
  // A tick is 10 ms, and a process that begins in the very same one counts as before.
  await until('the next tick', () => ticks() >= now + 2);
  expect((await shell('sleep 1000 & wait')).root.start).toBeGreaterThan(now);
});
