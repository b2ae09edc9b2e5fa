import type { Role } from '../accounts/role.ts';
import type { Connection } from './connections.ts';
import type { HostedSession } from './host-line.ts';
import type { Hosted } from './hosted.ts';
import { idOf, type ProcessId } from './process.ts';

/** One connection that is logged in, and the key that let it in. Every text in it is printable. */
export type Session = {
  /** Address and port of the client, as one word. */
  readonly peer: string;
  readonly address: string;
  readonly port: number;
  readonly account: string;
  /** The role it was let in with; null if the account was unknown to the server by then. */
  readonly role: Role | null;
  readonly uid: number | null;
  /** It was let in to several repositories below its folder. */
  readonly subRepositories: boolean;
  readonly fingerprint: string;
  /** The comment of the key line that admitted it, and where the operator wrote that line; '' and null if it is not in the current state. */
  readonly comment: string;
  readonly file: string | null;
  readonly line: number | null;
  /** Milliseconds since the epoch, for people. */
  readonly since: number;
  /** The same moment in milliseconds of a steady clock: the other clock may be set. */
  readonly steadySince: number;
  /** The root process of its connection, which names the session: no other session has it, and no text can say otherwise. */
  readonly process: ProcessId;
};

/** A connection, or a process of an account's under none, and whose it is: for the log. */
export type Running = ProcessId & { readonly uid: number | null; readonly account: string };

/** A session as an operator sees it. */
export type SessionView = Omit<Session, 'process' | 'subRepositories' | 'steadySince'> & {
  /** Bytes from the client and to it; null where the kernel does not tell. */
  readonly received: number | null;
  readonly sent: number | null;
  /** Processes of borg that run over it: by their command line, for people. */
  readonly borg: readonly number[];
  /** What these have used so far: all of their time, and the memory of the largest in bytes; null where none runs. */
  readonly cpuSeconds: number | null;
  readonly peakMemory: number | null;
};

/** What an operator may call a session by: its account, its key's fingerprint, or the client's address and port. */
export const namesOf = ({ account, fingerprint, address, port }: Session): readonly string[] => [
  account,
  fingerprint,
  `${address}:${port}`,
  `[${address}]:${port}`,
];

/**
 * How many sessions run over each session's connection. Of the processes below it, one is sshd's own. A hosted session is two of them: itself,
 * and the client that waits for it.
 */
export const sessionsOver = (
  connections: readonly Connection[],
  over: Hosted['over'],
): ((session: Session) => number) => {
  const below = new Map(connections.map((each) => [idOf(each), each]));
  return ({ process }) => {
    const connection = below.get(idOf(process));
    return connection ? Math.max(0, connection.below.length - 1 - waiting(connection, over(connection))) : 0;
  };
};

/** Clients that do nothing but wait for a hosted session. One that is hosted itself is a session that was taken over, and counts. */
const waiting = ({ below }: Connection, hosted: readonly HostedSession[]): number => {
  const shown = hosted.filter(({ process }) => below.includes(process.pid));
  const sessions = new Set(shown.map(({ process }) => process.pid));
  return new Set(shown.map(({ client }) => client.pid).filter((pid) => !sessions.has(pid))).size;
};
