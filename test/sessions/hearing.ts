import type { createLedger, LedgerEvent } from '../../src/sessions/ledger.ts';
import { parseLogLine } from '../../src/sshd/log.ts';
import type { Writer } from '../../src/sshd/message.ts';

/** sshd's own process in these tests. */
export const LISTENER = { pid: 50, start: 90 };

/** The lines of the process below the connection that runs as the account. */
const OF_USER_CHILD = /^(?:Starting session|Close session|Received disconnect|Disconnected from user|Transferred)/;

/**
 * Who writes a line: the root process of a connection has the pid 100,000 + the client's port, and the process that runs as the account has
 * 100,000 more.
 */
export const writerOf = (line: string, uid = 10_000): Writer => {
  const port = Number(
    [...line.matchAll(/\bport (\d+)/g)].at(/^Invalid|^Connection closed/.test(line) ? -1 : 0)?.[1] ?? 0,
  );
  const root = { pid: 100_000 + port, uid: 0, parent: LISTENER.pid, start: 100 };
  return OF_USER_CHILD.test(line) ? { pid: 200_000 + port, uid, parent: root.pid, start: 101 } : root;
};

/** Gives a ledger a line, with the writer that such a line has. */
export const hear = (ledger: ReturnType<typeof createLedger>, line: string, uid?: number): readonly LedgerEvent[] =>
  ledger.take(parseLogLine(line), writerOf(line, uid));
