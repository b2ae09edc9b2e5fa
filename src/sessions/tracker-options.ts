import type { IsAccount } from './connections.ts';
import type { Hosted } from './hosted.ts';
import type { Session } from './session.ts';
import type { TrailLog } from './trail.ts';

/** What the tracker of sessions has to know of the server. */
export type TrackerOptions = {
  readonly log: TrailLog;
  readonly port: number;
  readonly loginGraceSeconds: number;
  /** Leaves refused logins out of the log. */
  readonly hideStrangers: boolean;
  /** Connections that an account may have at once. */
  readonly sessionsPerAccount: number;
  readonly isAccount: IsAccount;
  /** Which sessions a session host has forked, and for whom. */
  readonly hosted: Hosted;
  /** How a session that is over has failed because of the server, in words; undefined where it has not. */
  readonly endOf: (session: Session) => string | undefined;
  /** Every session that is over. */
  readonly onClosed: (session: Session) => void;
  /** Every session as it opens. */
  readonly onOpened: (session: Session) => void;
};
