import type { Connection } from './connections.ts';
import { type CrowdTimes, connectionsBeyond, followCrowds, sessionsBeyond } from './crowd.ts';
import type { Hosted } from './hosted.ts';
import type { Process } from './process.ts';
import { type Granted, mayHoldLostPrivileges, reasonToEnd } from './revocation.ts';
import { type Session, sessionsOver } from './session.ts';
import { followStrays, judgeStrays, noStrays, type Strays, type StrayTimes } from './strays.ts';
import { whyImpossible } from './unseen.ts';
import { type Verdict, verdictOnSession } from './verdict.ts';

/** One moment, by three clocks. */
export type Moment = {
  /** Milliseconds since the epoch: for expiry-time=, which sshd judges by that. */
  readonly now: number;
  /** Milliseconds of a steady clock. */
  readonly steady: number;
  /** Clock ticks since boot, in which the kernel tells when a process began. */
  readonly ticks: number;
};

/** What everybody is held to. */
export type Rules = Granted & {
  /** Connections, and sessions, that an account may have at once. */
  readonly sessionsPerAccount: number;
  /** How long a login may take: LoginGraceTime and some more. */
  readonly graceSeconds: number;
};

/** What a look at the kernel has shown, beside what sshd has told. */
export type Shown = {
  readonly connections: readonly Connection[];
  /** Processes of accounts under no connection, without those that are being ended already: a borg that is told twice may leave its lock behind. */
  readonly outside: readonly Process[];
  /** Sessions that sshd has told of, and whose account's process the kernel should have shown long ago. */
  readonly unseen: readonly Session[];
  /** Whether sshd's log has told whose connection it is. */
  readonly isTold: (connection: Connection) => boolean;
  /** The sessions that run over a connection, as the session host says. */
  readonly over: Hosted['over'];
  /** User ids of accounts that have just lost something. */
  readonly lost: ReadonlySet<number>;
};

/** Since when things are as they are. One look alone does not show that. */
export type Times = { readonly strays: StrayTimes; readonly crowds: CrowdTimes };

/** Before the first look. */
export const noTimes = ({ steady }: Pick<Moment, 'steady'>): Times => ({ strays: noStrays(steady), crowds: new Map() });

const straysOf = ({ connections, outside, isTold }: Shown): Strays => ({
  connections: connections.filter((each) => each.uid !== null && !isTold(each)),
  outside,
});

/** The times after a look. */
export const timesAfter = (
  before: Times,
  sessions: readonly Session[],
  shown: Shown,
  { sessionsPerAccount: most }: Pick<Rules, 'sessionsPerAccount'>,
  { steady }: Pick<Moment, 'steady'>,
): Times => ({
  strays: followStrays(before.strays, straysOf(shown), shown.lost, steady),
  crowds: followCrowds(before.crowds, sessions, sessionsOver(shown.connections, shown.over), most, steady),
});

/**
 * Whether a session must end because of what is granted; null where it may go on. It needs no look at the kernel. So it is asked as soon as sshd
 * tells of a login, whenever something is granted or taken away, and each second: a failure the first time must not keep anybody in.
 */
export const decideByGrant = (
  session: Session,
  { state, losses }: Granted,
  { now }: Pick<Moment, 'now'>,
): Verdict | null => {
  const reason = reasonToEnd(session, state, new Date(now));
  if (reason !== null) return verdictOnSession(session, reason);
  return mayHoldLostPrivileges(session.account, session.process.start, losses)
    ? verdictOnSession(session, 'it began to log in before its privileges changed')
    : null;
};

/** Which connections must end because their account has too many of them. Only what sshd says counts here. */
export const decideByNumber = (
  sessions: readonly Session[],
  { sessionsPerAccount: most }: Pick<Rules, 'sessionsPerAccount'>,
  { steady }: Pick<Moment, 'steady'>,
): readonly Verdict[] =>
  connectionsBeyond(sessions, most, steady).map((session) =>
    verdictOnSession(session, `its account has more than ${most} connections (SESSIONS_PER_ACCOUNT)`),
  );

/**
 * Who must end because of what the kernel shows: logins that it does not show, processes that no session explains, and sessions above the limit
 * of their account.
 *
 * @param times after this look
 */
export const decideBySight = (
  sessions: readonly Session[],
  shown: Shown,
  times: Times,
  rules: Rules,
  { steady, ticks }: Omit<Moment, 'now'>,
): readonly Verdict[] => {
  const { sessionsPerAccount: most } = rules;
  const unseen = (session: Session): Verdict => {
    const why = whyImpossible(session, shown.connections, ticks, rules.graceSeconds);
    const alarm = why === null ? null : `sshd’s log tells of a login, and ${why}; its connection is ended`;
    return verdictOnSession(session, 'the kernel does not show its login', alarm);
  };
  const countOf = sessionsOver(shown.connections, shown.over);
  const beyond = `its account has more than ${most} sessions (SESSIONS_PER_ACCOUNT)`;
  return [
    ...shown.unseen.map(unseen),
    ...judgeStrays(straysOf(shown), times.strays, rules),
    ...sessionsBeyond(sessions, countOf, most, times.crowds, steady).map((session) =>
      verdictOnSession(session, beyond),
    ),
  ];
};
