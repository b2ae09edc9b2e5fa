import { setTimeout as pause } from 'node:timers/promises';
import { listConnections } from '../sessions/connections.ts';
import type { Logger } from './log.ts';

const POLL_MS = 100;
/** How long a connection that was told to end gets to release borg's lock. */
const TERM_PATIENCE_MS = 5000;

/**
 * Waits for running sessions, then ends them: TERM lets borg release its lock, KILL is for what does not listen.
 *
 * @param graceSeconds how long to wait before TERM
 * @param hurry ends the waiting: somebody asked a second time
 */
export const endSessions = async (graceSeconds: number, log: Logger, hurry: AbortSignal): Promise<void> => {
  const running = listConnections();
  if (running.length === 0) return;
  log.info(
    {
      sessions: running.length,
      accounts: [...new Set(running.map(({ account }) => account))].join(' '),
      seconds: graceSeconds,
    },
    'stopping: waiting for running sessions',
  );
  if (await allEnded(graceSeconds * 1000, hurry)) return;
  const left = signalAll('SIGTERM');
  log.warn({ sessions: left }, 'stopping: ending the sessions that are left');
  if (await allEnded(TERM_PATIENCE_MS)) return;
  log.warn(
    { sessions: signalAll('SIGKILL') },
    'stopping: killed sessions that did not end; their locks are cleared at the next start',
  );
};

const allEnded = async (milliseconds: number, hurry?: AbortSignal): Promise<boolean> => {
  const end = performance.now() + milliseconds;
  while (listConnections().length > 0) {
    if (performance.now() >= end || hurry?.aborted) return false;
    await pause(POLL_MS);
  }
  return true;
};

const signalAll = (signal: NodeJS.Signals): number => {
  const connections = listConnections();
  for (const { pid } of connections) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
  return connections.length;
};
