import { setTimeout as pause } from 'node:timers/promises';
import { askServer } from '../control/client.ts';
import type { Places } from '../places.ts';
import type { SessionView } from '../sessions/session.ts';
import { renderDuration } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { renderBytes } from '../text/size.ts';
import { renderTable } from './table.ts';

const WATCH_MS = 1000;

/** A session as programs get it. */
export type ListedSession = Omit<SessionView, 'peer' | 'since'> & { readonly since: string };

/**
 * `borgserver sessions`: who is connected.
 *
 * @returns the exit code: 0, or 2 where no server runs
 */
export const runSessions = async (
  places: Places,
  options: { readonly json: boolean; readonly watch: boolean },
): Promise<number> => {
  const screen = options.watch && process.stdout.isTTY === true;
  for (;;) {
    const sessions = await askServer(places.run, { command: 'sessions' });
    if (!sessions) return noServer();
    const { columns, rows } = process.stdout;
    const text = options.json ? sessionsJson(sessions) : sessionsText(sessions, Date.now(), columns);
    // Cursor to the top left, the new screen, then clear the rest of the old one.
    if (screen) process.stdout.write(`\x1b[H\x1b[J${options.json ? text : fittingRows(text, rows)}\n`);
    else console.log(text);
    if (!options.watch) return 0;
    await pause(WATCH_MS);
  }
};

/** As many lines as a screen of so many rows shows. A longer list would push its own head out of sight. */
export const fittingRows = (text: string, rows: number): string => {
  const lines = text.split('\n');
  // The cursor is in the last row.
  const room = rows - 1;
  if (lines.length <= room) return text;
  return [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`].join('\n');
};

/** The JSON array of `sessions --json`. Programs can rely on its fields. Times are ISO 8601, in UTC. */
export const sessionsJson = (sessions: readonly SessionView[]): string =>
  JSON.stringify(
    sessions.map(
      ({
        account,
        role,
        uid,
        address,
        port,
        since,
        fingerprint,
        comment,
        file,
        line,
        received,
        sent,
        borg,
        cpuSeconds,
        peakMemory,
      }): ListedSession => ({
        ...{ account, role, uid, address, port, since: new Date(since).toISOString() },
        ...{ fingerprint, comment, file, line, received, sent, borg, cpuSeconds, peakMemory },
      }),
    ),
  );

/**
 * `borgserver sessions end NAME|FINGERPRINT|ADDRESS:PORT`.
 *
 * @returns the exit code: 0 if it ended any, 1 if there was none, 2 where no server runs
 */
export const runEndSessions = async (places: Places, selector: string): Promise<number> => {
  const ended = await askServer(places.run, { command: 'end-sessions', selector });
  if (!ended) return noServer();
  if (ended.length === 0) {
    console.error(
      `borgserver: no session has '${printable(selector)}' as its account, fingerprint or ADDRESS:PORT; \`borgserver sessions\` lists them`,
    );
    return 1;
  }
  for (const session of ended)
    console.log(`ended ${session.account} ${session.fingerprint} from ${session.address}:${session.port}`);
  console.log('Its key still opens the account: remove the key to keep it out.');
  return 0;
};

const noServer = (): number => {
  console.error('no server runs here');
  return 2;
};

/** A hosted session takes hundredths of a second. */
const renderSeconds = (seconds: number): string => `${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;

/** The table. Times are counted up to `now`, milliseconds since the epoch. */
export const sessionsText = (sessions: readonly SessionView[], now: number, width?: number): string => {
  if (sessions.length === 0) return 'Nobody is connected.';
  const rows = [...sessions]
    .sort((a, b) => a.since - b.since)
    .map((session) => [
      session.account,
      session.role ?? '?',
      `${session.address}:${session.port}`,
      renderDuration((now - session.since) / 1000),
      renderBytes(session.received),
      renderBytes(session.sent),
      session.cpuSeconds === null ? '-' : renderSeconds(session.cpuSeconds),
      session.peakMemory === null ? '-' : renderBytes(session.peakMemory),
      session.borg.length > 0 ? `borg ${session.borg.join(' ')}` : 'idle',
      `${session.fingerprint.slice(0, 'SHA256:'.length + 8)}… ${session.comment}`,
    ]);
  return renderTable(['ACCOUNT', 'ROLE', 'FROM', 'SINCE', 'IN', 'OUT', 'CPU', 'MEMORY', 'RUNS', 'KEY'], rows, width);
};
