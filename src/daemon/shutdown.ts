import { setTimeout as pause } from 'node:timers/promises';
import { listConnections } from '../sessions/connections.ts';
import { endConnection } from '../sessions/end-connection.ts';
import type { Logger } from './log.ts';

const POLL_MS = 100;

/**
 * Waits for running sessions, then ends them: TERM lets borg release its lock, KILL is for what does not listen.
 *
 * @param graceSeconds how long to wait before TERM
 * @param hurry ends the waiting: somebody asked a second time
 */
export const endSessions = async (graceSeconds: number, log: Logger, hurry: AbortSignal): Promise<void> => {
  const running = listConnections();
  if (running.length === 0) return;
  const accounts = [...new Set(running.map(({ account }) => account))];
  log.info(
    { sessions: running.length, accounts: someOf(accounts), seconds: graceSeconds },
    'stopping: waiting for running sessions',
  );
  if (await allEnded(graceSeconds * 1000, hurry)) return;
  const left = listConnections();
  log.warn({ sessions: left.length }, 'stopping: ending the sessions that are left');
  const killed = (await Promise.all(left.map(endConnection))).filter((how) => how === 'killed').length;
  if (killed === 0) return;
  log.warn(
    { sessions: killed },
    'stopping: killed sessions that did not end; their locks are cleared at the next start',
  );
};

const MOST_NAMES = 10;

const someOf = (names: readonly string[]): string =>
  names.length > MOST_NAMES
    ? `${names.slice(0, MOST_NAMES).join(' ')} and ${names.length - MOST_NAMES} more`
    : names.join(' ');

const allEnded = async (milliseconds: number, hurry: AbortSignal): Promise<boolean> => {
  const end = performance.now() + milliseconds;
  while (listConnections().length > 0) {
    if (performance.now() >= end || hurry.aborted) return false;
    await pause(POLL_MS);
  }
  return true;
};
