import type { Process, ProcessId } from './process.ts';
import type { Session } from './session.ts';

/** Somebody who must end, and why. */
export type Verdict = {
  /** A connection, or all that an account has under none. */
  readonly kind: 'session' | 'process';
  /** The root process of the connection, or the processes under none: they end with all below them. */
  readonly roots: readonly ProcessId[];
  /** The user id of processes that they may leave behind; null: there are none. */
  readonly uid: number | null;
  /** The session, where sshd's log has told of one. */
  readonly session: Session | null;
  readonly reason: string;
  /** A sentence for the operator about what should never be so; null where it may be. */
  readonly alarm: string | null;
};

export const verdictOnSession = (session: Session, reason: string, alarm: string | null = null): Verdict => ({
  ...{ kind: 'session', roots: [session.process], uid: session.uid },
  ...{ session, reason, alarm },
});

/** On a connection that sshd's log does not tell of. */
export const verdictOnConnection = (
  { pid, start }: ProcessId,
  uid: number | null,
  reason: string,
  alarm: string | null = null,
): Verdict => ({ ...{ kind: 'session', roots: [{ pid, start }], uid }, ...{ session: null, reason, alarm } });

/** On all processes that a user id has under no connection. */
export const verdictOnOutsiders = (roots: readonly Process[], uid: number, reason: string): Verdict => ({
  ...{ kind: 'process', roots, uid },
  ...{ session: null, reason, alarm: null },
});
