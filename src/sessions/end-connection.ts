import { setTimeout as pause } from 'node:timers/promises';
import { type Process, processesBelow, readProcess } from './processes.ts';

/** How long a connection gets to end by itself: borg releases its lock within milliseconds of TERM. */
const PATIENCE_MS = 3000;
const POLL_MS = 20;

/** One process for ever: a pid may be given again, with another start. */
export type ProcessName = { readonly pid: number; readonly start: number };

/**
 * Ends a connection by its root process: TERM, on which sshd ends what runs over the connection and borg releases its lock;
 * after some seconds KILL for all of it.
 *
 * @returns 'ended', or 'killed' where TERM was not enough (a lock may then remain; the next borg of this server removes it)
 */
export const endConnection = async (root: ProcessName): Promise<'ended' | 'killed'> => {
  const below = isAlive(root) ? processesBelow(root.pid) : [];
  signal(root, 'SIGTERM');
  const all: readonly ProcessName[] = [root, ...below];
  if (await gone(all, PATIENCE_MS)) return 'ended';
  for (const each of all) signal(each, 'SIGKILL');
  await gone(all, PATIENCE_MS);
  return 'killed';
};

/** Whether this very process still runs. One that has ended and waits to be reaped does not. */
export const isAlive = ({ pid, start }: ProcessName): boolean => {
  const found: Process | null = readProcess(pid);
  return found !== null && found.start === start && found.words.join('') !== '';
};

const gone = async (processes: readonly ProcessName[], milliseconds: number): Promise<boolean> => {
  const end = performance.now() + milliseconds;
  while (processes.some(isAlive)) {
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
    // It has ended by itself.
  }
};
