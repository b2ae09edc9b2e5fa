import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, expect, it } from 'vitest';
import { endConnection, signal } from '../../src/sessions/end-connection.ts';
import { createTicks, isAlive, listProcesses, type ProcessName, readProcess } from '../../src/sessions/processes.ts';
import { until } from '../e2e/harness/machine.ts';

let started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  started = [];
});

/** A shell and what it has started, once it has. A process group of its own: it may signal all of it. */
const shell = async (
  script: string,
): Promise<{ readonly root: ProcessName; readonly below: readonly ProcessName[] }> => {
  const child = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
  started.push(child);
  const { pid = 0 } = child;
  const below = await until('its child to run', () => {
    const found = listProcesses().filter(({ parent, words }) => parent === pid && words[0] === 'sleep');
    return found.length > 0 && found;
  });
  const root = readProcess(pid);
  if (!root) throw new Error('the shell has ended');
  return { root, below };
};

it('what ends on TERM is not killed', async () => {
  const { root, below } = await shell('trap "trap - TERM; kill 0" TERM; sleep 1000 & wait');
  expect(await endConnection(root)).toBe('ended');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('what does not listen is killed after a while, with everything below it', async () => {
  const { root, below } = await shell('trap "" TERM; sleep 1000 & while :; do wait; done');
  expect(await endConnection(root)).toBe('killed');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('what is left below a process that ended at once is killed, too', async () => {
  const { root, below } = await shell('(trap "" TERM; exec sleep 1000) & wait');
  expect(await endConnection(root)).toBe('killed');
  expect([root, ...below].map((each) => isAlive(each))).toEqual([false, false]);
});

it('a process that has got the pid of another is neither signalled nor anything below it', async () => {
  const { root, below } = await shell('sleep 1000 & wait');
  const former = { pid: root.pid, start: root.start - 1 };
  expect(isAlive(former)).toBe(false);
  signal(former, 'SIGKILL');
  expect(await endConnection(former)).toBe('ended');
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
