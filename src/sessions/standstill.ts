import { spawn } from 'node:child_process';

/** Whoever has the user id may stop or end the shell before it has done its work. */
const MOST_MS = 1000;
const NOGROUP = 65_534;

/**
 * Has everything with a user id stand still while `work` runs, and go on after it. The kernel signals all of them in one step,
 * and lets none fork meanwhile (kill(2), pid -1), which no list of processes can do: what forks and ends within a millisecond is always
 * gone by the time that it could be signalled. Only a process of that very user id may ask for it.
 */
export const whileStandingStill = async (uid: number, work: () => Promise<void>): Promise<void> => {
  await signalAll(uid, 'STOP');
  try {
    await work();
  } finally {
    await signalAll(uid, 'CONT');
  }
};

const signalAll = (uid: number, name: 'STOP' | 'CONT'): Promise<void> =>
  new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', `kill -s ${name} -- -1`], {
      ...{ uid, gid: NOGROUP, cwd: '/', env: {}, stdio: 'ignore', timeout: MOST_MS, killSignal: 'SIGKILL' },
    });
    // Whether it has helped is seen by what is left.
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
