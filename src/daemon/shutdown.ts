import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../log.ts';
import { type Ending, type EndOfConnection, endConnection } from '../sessions/end-connection.ts';
import type { Running } from '../sessions/session.ts';

/** Each look reads all of /proc. So the looks are frequent at first and rarer later. */
const FIRST_POLL_MS = 50;
const LONGEST_POLL_MS = 1000;

/**
 * Waits for running sessions, then ends them: TERM lets borg release its lock, KILL is for what ignores TERM.
 *
 * @param graceSeconds how long to wait before TERM
 * @param running says who is still there
 * @param look looks for what has left its connection, and for hosted sessions
 * @param hurry ends the waiting: somebody asked a second time
 */
export const endSessions = async (
  graceSeconds: number,
  running: () => readonly Running[],
  look: Pick<Ending, 'outsiders' | 'hosted'>,
  log: Logger,
  hurry: AbortSignal,
): Promise<void> => {
  const first = running();
  if (first.length === 0) return;
  const accounts = [...new Set(first.map(({ account }) => account))];
  log.info(
    { sessions: first.length, accounts: someOf(accounts), seconds: graceSeconds },
    'stopping: waiting for running sessions',
  );
  if (await allEnded(graceSeconds * 1000, running, hurry)) return;
  const left = running();
  log.warn({ sessions: left.length }, 'stopping: ending the sessions that are left');
  const ends = await Promise.all(left.map((each) => endConnection({ roots: [each], uid: each.uid, ...look })));
  const count = (wanted: EndOfConnection): number => ends.filter((how) => how === wanted).length;
  if (count('killed') > 0)
    log.warn(
      { sessions: count('killed') },
      'stopping: killed sessions that did not end; their locks are cleared at the next start',
    );
  if (count('alive') > 0) log.error({ sessions: count('alive') }, 'stopping: sessions are still there after KILL');
};

const MOST_NAMES = 10;

const someOf = (names: readonly string[]): string =>
  names.length > MOST_NAMES
    ? `${names.slice(0, MOST_NAMES).join(' ')} and ${names.length - MOST_NAMES} more`
    : names.join(' ');

const allEnded = async (
  milliseconds: number,
  running: () => readonly Running[],
  hurry: AbortSignal,
): Promise<boolean> => {
  const end = performance.now() + milliseconds;
  for (let wait = FIRST_POLL_MS; running().length > 0; wait = Math.min(wait * 1.5, LONGEST_POLL_MS)) {
    const left = end - performance.now();
    if (left <= 0 || hurry.aborted) return false;
    // In a hurry it does not wait for the next look.
    await pause(Math.min(wait, left), undefined, { signal: hurry }).catch(() => {});
  }
  return true;
};
