import { setTimeout as pause } from 'node:timers/promises';
import { spawnSafely } from '../system/spawn.ts';
import type { Process } from './process.ts';
import { listProcesses } from './processes.ts';

/** The limit for the shell: processes of the same user id may stop or end it before it has done its work. */
const MOST_MS = 1000;
const AGAIN_MS = 100;
const NOGROUP = 65_534;

/**
 * Makes all processes of a user id stand still while `work` runs, and lets them go on after it. The kernel signals all of them in one step, and
 * lets none fork meanwhile (kill(2), pid -1). No list of processes can do that: a process that forks and ends within a millisecond is always
 * gone before it could be signalled. Only a process of that very user id may ask the kernel for it.
 */
export const whileStandingStill = async (uid: number, work: () => Promise<void>): Promise<void> => {
  await stopAll(uid);
  try {
    await work();
  } finally {
    await letGoOn(uid);
  }
};

const stopAll = (uid: number): Promise<void> =>
  new Promise((resolve) => {
    const { child } = spawnSafely('/bin/sh', ['-c', 'kill -s STOP -- -1'], {
      ...{ uid, gid: NOGROUP, cwd: '/', env: {}, stdio: 'ignore', timeout: MOST_MS, killSignal: 'SIGKILL' },
    });
    // What is left shows whether it has helped.
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });

/**
 * A process that stands still does not fork, so a list has all of them. It needs no shell: none stays stopped because a shell could not be
 * started.
 */
const letGoOn = async (uid: number): Promise<void> => {
  for (const each of await listAtLast()) {
    try {
      if (each.uid === uid) process.kill(each.pid, 'SIGCONT');
    } catch {
      // It has ended.
    }
  }
};

/** With a full table of files /proc cannot be read for a moment. */
const listAtLast = async (): Promise<readonly Process[]> => {
  for (;;) {
    try {
      return listProcesses();
    } catch {
      await pause(AGAIN_MS);
    }
  }
};
