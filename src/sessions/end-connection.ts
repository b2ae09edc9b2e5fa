import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, type ProcessName, processesBelow } from './processes.ts';

/** How long a connection gets to end by itself: borg releases its lock within milliseconds of TERM. */
const PATIENCE_MS = 3000;
const POLL_MS = 20;

/** 'killed': TERM was not enough, and a lock may remain (the next borg of this server removes it). 'alive': neither was KILL. */
export type EndOfConnection = 'ended' | 'killed' | 'alive';

/**
 * Ends a connection by its root process, or any other process with all below it: TERM, on which sshd ends what runs over the
 * connection and borg releases its lock; after some seconds KILL for all of it.
 *
 * @param onFound gets all that is going to be ended
 * @returns what was seen, not what was tried
 */
export const endConnection = async (
  root: ProcessName,
  onFound: (all: readonly ProcessName[]) => void = () => {},
): Promise<EndOfConnection> => {
  let all: readonly ProcessName[] = [root];
  try {
    if (isAlive(root)) all = [root, ...processesBelow(root.pid)];
  } finally {
    // Whatever cannot be read: the root is told in any case.
    onFound(all);
    signal(root, 'SIGTERM');
  }
  if (await gone(all, PATIENCE_MS)) return 'ended';
  for (const each of all) signal(each, 'SIGKILL');
  return (await gone(all, PATIENCE_MS)) ? 'killed' : 'alive';
};

const gone = async (processes: readonly ProcessName[], milliseconds: number): Promise<boolean> => {
  const end = performance.now() + milliseconds;
  while (processes.some((each) => isAlive(each))) {
    if (performance.now() >= end) return false;
    await pause(POLL_MS);
  }
  return true;
};

/** Signals this very process, not another one that has got its pid. */
export const signal = (process_: ProcessName, name: NodeJS.Signals): void => {
  if (!isAlive(process_)) return;
  try {
    process.kill(process_.pid, name);
  } catch {
    // It has ended by itself, or may not be signalled: whether it is gone is looked at.
  }
};
