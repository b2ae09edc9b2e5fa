import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import { endConnection, signal } from '../../src/sessions/end-connection.ts';
import { newestProcesses } from '../../src/sessions/newest-process.ts';
import type { ProcessId } from '../../src/sessions/process.ts';
import { createTicks, isAlive, listProcesses, readProcess, readWords } from '../../src/sessions/processes.ts';
import { until } from '../e2e/harness/machine.ts';

let started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  started = [];
});

/** Resolves with a shell and what it has started, once it has done so. A process group of its own: it may signal all of it. */
const shell = async (script: string): Promise<{ readonly root: ProcessId; readonly below: readonly ProcessId[] }> => {
  const child = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
  started.push(child);
  const { pid = 0 } = child;
  const below = await until('its child to run', () => {
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

/** A user id that nobody else has: what runs as it can be found, wherever it is now. */
const LEAVER = 61_234;
const ofLeaver = () => {
  const listed = listProcesses();
  const all = [...listed, ...newestProcesses(new Set(listed.map(({ pid }) => pid)))];
  return all.filter(({ uid, ended }) => uid === LEAVER && !ended);
};
const endLeaver = (root: ProcessId) =>
  endConnection({ roots: [root], uid: LEAVER, outsiders: async () => ofLeaver(), hosted: NONE });

/** Whether it ignores HUP (proc_pid_status(5)), its sign that it is ready. */
const ready = (pid: number): boolean => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (BigInt(`0x${/^SigIgn:\t(\w+)/m.exec(status)?.[1] ?? 0}`) & 1n) === 1n;
};

/** A Python program of that user id, whose root process is `root`. It leaves by itself after some seconds, whatever happens. */
const leaver = async (script: string): Promise<ProcessId> => {
  const head = `import os, signal, time\nend = time.monotonic() + 20\n`;
  const child = spawn('python3', ['-I', '-c', head + script], {
    ...{ stdio: 'ignore', uid: LEAVER, gid: 65_534, cwd: '/' },
  });
  started.push(child);
  await until('it to be ready', () => ready(child.pid ?? 0));
  return until('its start to be known', () => readProcess(child.pid ?? 0) ?? false);
};

it('what has left its connection while that ended is found, and ended before it is called so', async () => {
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

it('what forks and ends again and again is ended: no list of processes ever catches it', async () => {
  const root = await leaver(`
# Before they are forked: on a busy machine they may not have begun when TERM comes.
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
  expect(await endLeaver(root)).toBe('killed');
  expect(Array.from({ length: 20 }, () => ofLeaver().length)).toEqual(Array.from({ length: 20 }, () => 0));
});

it('what ends on TERM is not killed', async () => {
  const { root, below } = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  expect(await end(root)).toBe('ended');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('what does not listen is killed after a while, with everything below it', async () => {
  const { root, below } = await shell('trap "" TERM; sleep 1000 & while :; do wait; done');
  expect(await end(root)).toBe('killed');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('what is left below a process that ended at once is killed, too', async () => {
  const { root, below } = await shell('(trap "" TERM; exec sleep 1000) & wait');
  expect(await end(root)).toBe('killed');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('who waits for a hosted session is not told, since that would be told twice, and is killed where it does not end', async () => {
  const session = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const ended = `${tmpdir()}/told-${session.root.pid}`;
  const client = await shell(`trap "echo told >${ended}" TERM; sleep 1000 & while :; do wait; done`);
  const isClient = ({ pid }: ProcessId): boolean => pid === client.root.pid;
  const roots = [client.root, session.root];
  const how = await endConnection({ roots, uid: null, outsiders: async () => [], hosted: { ...NONE, isClient } });
  expect([how, existsSync(ended)]).toEqual(['killed', false]);
  expect(roots.map((each) => isAlive(each))).toEqual([false, false]);
});

/** Ends a connection over which these run, as the session host says, wherever the kernel shows them. */
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

it('hosted sessions are told with their connection, with what they have started, also one that begins meanwhile', async () => {
  const connection = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const hosted = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const late = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  // Its line comes once the connection has been told.
  const over = () => (isAlive(hosted.root) ? [hosted.root] : [hosted.root, late.root]);
  expect(await endHosted(connection.root, over)).toBe('ended');
  expect([connection, hosted, late].filter(({ root }) => isAlive(root))).toEqual([]);
  // A hosted session starts nothing; what a shell has started ends a moment after it.
  const all = [connection, hosted, late].flatMap(({ below }) => below);
  await until('all to have ended', () => !all.some((each) => isAlive(each)));
});

it.each([null, LEAVER])('a hosted session that does not listen is killed after a while (as %s)', async (uid) => {
  const connection = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  const root = await leaver(`
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
while time.monotonic() < end: time.sleep(0.05)
`);
  expect(await endHosted(connection.root, () => [root], uid)).toBe('killed');
  expect([connection.root, root].map((each) => isAlive(each))).toEqual([false, false]);
});

it('a process that has got the pid of another is neither signalled nor anything below it', async () => {
  const { root, below } = await shell('sleep 1000 & wait');
  const former = { pid: root.pid, start: root.start - 1 };
  expect(isAlive(former)).toBe(false);
  signal(former, 'SIGKILL');
  expect(await end(former)).toBe('ended');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([true, true]);
});

it('the time now is not before the beginning of what runs, nor after that of what begins later', async () => {
  const { root } = await shell('sleep 1000 & wait');
  const ticks = createTicks();
  const now = ticks();
  expect(root.start).toBeLessThanOrEqual(now);
  // A tick is 10 ms, and a process that begins in the very same one counts as before.
  await until('the next tick', () => ticks() >= now + 2);
  expect((await shell('sleep 1000 & wait')).root.start).toBeGreaterThan(now);
});
