import type { State } from '../accounts/account.ts';
import { losers } from '../accounts/narrow.ts';
import { parseLogLine } from '../sshd/log.ts';
import { createBucket } from './bucket.ts';
import { type Connection, listConnections } from './connections.ts';
import { connectionsBeyond } from './crowd.ts';
import { isAlive, type ProcessName } from './end-connection.ts';
import { createEnding } from './ending.ts';
import { createLeaving } from './leaving.ts';
import { createLedger, type LedgerEvent } from './ledger.ts';
import { createTicks, TICKS_PER_SECOND } from './processes.ts';
import { mayHoldLostPrivileges, nextExpiry, noteLosses, type PrivilegeLosses, reasonToEnd } from './revocation.ts';
import { candidates, matchRoots, monitorOf, sessionOfMonitor } from './roots.ts';
import { namesOf, type Session, type SessionView, viewOf } from './session.ts';
import { createStrays } from './strays.ts';
import { readTraffic, type Traffic } from './traffic.ts';
import { closedFacts, createStrangerLog, howClosed, openedFacts, sessionFacts, type TrailLog } from './trail.ts';

export type TrackerOptions = {
  readonly log: TrailLog;
  readonly port: number;
  readonly loginGraceSeconds: number;
  /** Leaves refused logins out of the log. */
  readonly hideStrangers: boolean;
  /** Connections that an account may have at once. */
  readonly sessionsPerAccount: number;
  /** Every session as it opens. */
  readonly onOpened: (session: Session) => void;
};

const SWEEP_MS = 1000;
/** In which the process of a session that is over has mostly ended. */
const SETTLE_MS = 100;
const COMPLAINTS = { burst: 3, perSecond: 1 / 60 };
/** How often the kernel is asked for bytes, and how often connections are looked for of which no line tells. */
const SWEEPS_TO_TRAFFIC = 5;
const SWEEPS_TO_UNKNOWN = 10;
/** A session without a process for so long has ended, and sshd did not say so. */
const LOST_MS = 10_000;
/** setTimeout takes no more; a later expiry is looked at again by then. */
const LONGEST_TIMER_MS = 24 * 3600 * 1000;
/** Beyond LoginGraceTime, for a busy machine. */
const SPARE_SECONDS = 60;

/**
 * Knows who is connected, and ends whoever may not be any more. Fed with sshd's lines and with every new state; what it
 * decides is in revocation.ts, what it remembers in ledger.ts.
 */
export const createTracker = (options: TrackerOptions) => {
  const { log, port, loginGraceSeconds, hideStrangers, sessionsPerAccount, onOpened } = options;
  let state: State = new Map();
  let losses: PrivilegeLosses = new Map();
  const ticks = createTicks();
  let expiry: NodeJS.Timeout | null = null;
  let sweeps = 0;
  let traffic: ReadonlyMap<string, Traffic> = new Map();
  const ledger = createLedger(
    () => state,
    Date.now,
    () => performance.now(),
    ticks,
  );
  const leaving = createLeaving();
  const connected = (): readonly Session[] => [...ledger.sessions(), ...leaving.sessions()];
  const strangers = createStrangerLog(log, () => performance.now());
  const ending = createEnding(log, () => sweep());
  const mayComplain = createBucket(COMPLAINTS.burst, COMPLAINTS.perSecond, () => performance.now());
  /** Why a session is being ended, for the line about its closing. */
  const reasons = new Map<string, string>();

  /** Where the root process of a session is in doubt, all that it can be end: the others come back, and the one must not stay. */
  const endSession = (session: Session, reason: string): void => {
    const told = reasons.get(session.peer) === reason;
    reasons.set(session.peer, reason);
    for (const root of candidates(session, connected(), session.process ? [] : listConnections())) {
      ending.end(root, sessionFacts(session), reason, told);
    }
  };

  const judge = (session: Session): void => {
    const { account, process } = session;
    const reason = reasonToEnd(session, state, new Date());
    if (reason !== null) endSession(session, reason);
    else if (process && mayHoldLostPrivileges(account, process.start, losses))
      endSession(session, 'it began to log in before its privileges changed');
  };

  const bind = (peer: string, root: ProcessName): void => {
    ledger.bind(peer, root);
    const session = ledger.get(peer);
    if (session) judge(session);
  };

  const bindUserChild = (pid: number): void => {
    const monitor = monitorOf(pid);
    const session = monitor && sessionOfMonitor(monitor, connected());
    if (session) bind(session.peer, monitor.root);
  };

  const bindFromProcesses = (connections: readonly Connection[]): void => {
    for (const [peer, root] of matchRoots(connected(), connections)) bind(peer, root);
  };

  const closed = (session: Session, how: string): void => {
    const reason = reasons.get(session.peer);
    reasons.delete(session.peer);
    const told = reason === undefined ? how : `ended by the server: ${reason}`;
    log.info(closedFacts(session, told, traffic.get(session.peer), performance.now()), 'session closed');
  };

  const settle = (): void => {
    for (const { session, how } of leaving.gone()) closed(session, how);
  };

  const follow = (event: LedgerEvent): void => {
    switch (event.kind) {
      case 'opened':
        log.info(openedFacts(event.session), 'session opened');
        judge(event.session);
        onOpened(event.session);
        return;
      case 'closed':
        if (leaving.take(event.session, howClosed(event.how))) setTimeout(() => survive(settle), SETTLE_MS);
        else closed(event.session, howClosed(event.how));
        return;
      case 'refused':
        if (!hideStrangers) strangers.refused(event.refusal);
        return;
      case 'user-child':
        bindUserChild(event.pid);
        return;
    }
  };

  /** A full table of files, for example: it must not end the server and all backups with it. The next sweep tries again. */
  const survive = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (mayComplain()) log.warn({ error: String(error) }, 'the sessions could not be looked at; it is tried again');
    }
  };

  const strays = createStrays({
    ...{ sessions: connected, connections: listConnections, state: () => state, losses: () => losses, survive },
    end: (connection, reason) => ending.end(connection, { account: connection.account }, reason),
    now: () => performance.now(),
  });

  /**
   * Notices what the log does not say: sessions that ended by a signal, connections whose process was in doubt. And judges
   * everybody again: whatever has failed the first time must not keep anybody in.
   */
  const look = (): void => {
    for (const event of ledger.overdue((loginGraceSeconds + SPARE_SECONDS) * 1000)) follow(event);
    strangers.tick();
    const forget = (session: Session): void => {
      if (ledger.forget(session.peer)) closed(session, 'its process ended');
    };
    settle();
    for (const session of ledger.sessions()) if (session.process && !isAlive(session.process)) forget(session);
    for (const session of connected()) judge(session);
    // Where it is in doubt which process is whose, none: the older ones stay, and the doubt is soon over.
    for (const session of connectionsBeyond(connected(), sessionsPerAccount, performance.now()))
      if (session.process)
        endSession(session, `its account has more than ${sessionsPerAccount} connections (SESSIONS_PER_ACCOUNT)`);
    const doubtful = ledger.sessions().some((each) => each.process === null);
    if (!doubtful && sweeps % SWEEPS_TO_UNKNOWN !== 0) return;
    const connections = listConnections();
    bindFromProcesses(connections);
    for (const session of ledger.sessions().filter((each) => each.process === null)) {
      const old = performance.now() - session.steadySince > LOST_MS;
      if (old && candidates(session, connected(), connections).length === 0) forget(session);
    }
    strays.look(connections);
  };
  const sweep = (): void => survive(look);

  const lookAtTraffic = async (): Promise<void> => {
    traffic = await readTraffic(port).catch(() => new Map());
  };

  const timer = setInterval(() => {
    sweeps += 1;
    sweep();
    if (sweeps % SWEEPS_TO_TRAFFIC === 0 && ledger.sessions().length > 0) void lookAtTraffic();
  }, SWEEP_MS);

  const judgeAll = (): void => {
    for (const session of connected()) judge(session);
    if (expiry) clearTimeout(expiry);
    const next = nextExpiry(state, new Date());
    // sshd counts whole seconds, and the key is good in the second that is named.
    expiry =
      next === null ? null : setTimeout(() => survive(judgeAll), Math.min(next - Date.now() + 1000, LONGEST_TIMER_MS));
  };

  return {
    /** Takes one line of sshd's log. */
    line: (text: string): ReturnType<typeof parseLogLine> => {
      const event = parseLogLine(text);
      for (const each of ledger.take(event)) survive(() => follow(each));
      return event;
    },

    /** Takes what is granted from now on, and ends every connection that it does not cover. */
    access: (granted: State): void => {
      const now = ticks();
      const keep = (loginGraceSeconds + SPARE_SECONDS) * TICKS_PER_SECOND;
      losses = noteLosses(state, granted, losses, now, keep);
      const lost = losers(state, granted);
      state = granted;
      survive(judgeAll);
      if (lost.size > 0) survive(() => strays.lost(lost));
    },

    /** Everybody who is connected, with what the kernel and /proc say just now. */
    list: async (): Promise<readonly SessionView[]> => {
      await lookAtTraffic();
      const connections = listConnections();
      bindFromProcesses(connections);
      return connected().map((session) => viewOf(session, connections, traffic.get(session.peer)));
    },

    /**
     * Ends the sessions of an account, of a key, or of one address and port, because an operator says so.
     *
     * @returns the sessions that it ends
     */
    end: (selector: string): readonly Session[] => {
      const chosen = connected().filter((session) => namesOf(session).includes(selector));
      for (const session of chosen) endSession(session, 'an operator ended it');
      return chosen;
    },

    close: async (): Promise<void> => {
      clearInterval(timer);
      if (expiry) clearTimeout(expiry);
      await ending.settled();
      sweep();
      strangers.tick(true);
    },
  };
};

export type Tracker = ReturnType<typeof createTracker>;
