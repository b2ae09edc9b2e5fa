import type { Session } from '../sessions/session.ts';
import type { Writer } from '../snapshots/change-record.ts';

/** A session as the history of a repository has it. @param wrote it has said that it has written */
export const writerOf = ({ account, role, fingerprint, comment, address }: Session, wrote: boolean): Writer => ({
  ...{ kind: 'session', account, role, fingerprint, comment, from: address, wrote },
});

/** Those that may be changing a repository of this account: its own sessions, and all of the admins'. */
export const connectedTo = (account: string, sessions: readonly Session[]): readonly Writer[] =>
  sessions
    .filter((session) => session.account === account || session.role === 'admin')
    .map((session) => writerOf(session, false));
