import type { State } from '../accounts/account.ts';
import type { AccountName } from '../accounts/name.ts';
import { parseLogLine } from '../sshd/log.ts';
import { type Connection, listConnections } from './connections.ts';
import { endConnection, isAlive, type ProcessName } from './end-connection.ts';
import { createLedger, type LedgerEvent } from './ledger.ts';
import { ticksNow } from './processes.ts';
import { mayHoldOldPrivileges, nextExpiry, notePrivileges, type PrivilegeChanges, reasonToEnd } from './revocation.ts';
import { candidates, matchRoots, monitorOf } from './roots.ts';
import type { Session, SessionView } from './session.ts';
import { readTraffic, type Traffic } from './traffic.ts';
import { createStrangerLog, howClosed, sessionFacts, type TrailLog } from './trail.ts';

export type TrackerOptions = {
  readonly log: TrailLog;
  readonly port: number;
  readonly loginGraceSeconds: number;
  /** Leaves refused logins out of the log. */
  readonly hideStrangers: boolean;
  /** Every session as it opens. */
  readonly onOpened: (session: Session) => void;
};

const SWEEP_MS = 1000;
/** A session without a process for so long has ended, and sshd did not say so. */
const LOST_MS = 10_000;
/** setTimeout takes no more; a later expiry is looked at again by then. */
const LONGEST_TIMER_MS = 24 * 3600 * 1000;

/**
 * Knows who is connected, and ends whoever may not be any more. Fed with sshd's lines and with every new state; what it
 * decides is in revocation.ts, what it remembers in ledger.ts.
 */
export const createTracker = ({ log, port, loginGraceSeconds, hideStrangers, onOpened }: TrackerOptions) => {
  let state: State = new Map();
  let changes: PrivilegeChanges = new Map();
  let expiry: NodeJS.Timeout | null = null;
  const ledger = createLedger(() => state, Date.now);
  const strangers = createStrangerLog(log, () => performance.now());
  /** Root processes that are being ended. */
  const ending = new Map<string, Promise<unknown>>();
  /** Why a session is being ended, for the line about its closing. */
  const reasons = new Map<string, string>();
  let figures: ReadonlyMap<string, Traffic> = new Map();

  const idOf = ({ pid, start }: ProcessName): string => `${pid} ${start}`;

  const end = (root: ProcessName, facts: object, reason: string): void => {
    if (ending.has(idOf(root))) return;
    log.warn({ ...facts, reason }, 'session ended');
    const done = endConnection(root).then((how) => {
      ending.delete(idOf(root));
      if (how === 'killed') log.warn({ ...facts, reason }, 'session killed: it did not end by itself');
      sweep();
    });
    ending.set(idOf(root), done);
  };

  /** Where the root process of a session is in doubt, all that it can be end: the others come back, and the one must not stay. */
  const endSession = (session: Session, reason: string): void => {
    reasons.set(session.peer, reason);
    for (const root of candidates(session, ledger.sessions(), session.process ? [] : listConnections())) {
      end(root, sessionFacts(session), reason);
    }
  };

  const judge = (session: Session): void => {
    const reason = reasonToEnd(session, state, new Date());
    if (reason !== null) endSession(session, reason);
    else if (mayHoldOldPrivileges(session, changes))
      endSession(session, 'it began to log in before its privileges changed');
  };

  const bind = (peer: string, root: ProcessName): void => {
    ledger.bind(peer, root);
    for (const session of ledger.sessions()) if (session.peer === peer) judge(session);
  };

  const bindUserChild = (pid: number): void => {
    const monitor = monitorOf(pid);
    const waiting = ledger.sessions().filter((each) => each.process === null && each.account === monitor?.account);
    const [only] = waiting;
    if (monitor && only && waiting.length === 1) bind(only.peer, monitor.root);
  };

  const bindFromProcesses = (connections: readonly Connection[]): void => {
    for (const [peer, root] of matchRoots(ledger.sessions(), connections)) bind(peer, root);
  };

  const closed = (session: Session, how: string): void => {
    const traffic = figures.get(session.peer);
    const bytes = traffic && { received: traffic.received, sent: traffic.sent };
    const seconds = Math.round((Date.now() - session.since) / 1000);
    const reason = reasons.get(session.peer);
    reasons.delete(session.peer);
    log.info(
      {
        ...sessionFacts(session),
        seconds,
        ...bytes,
        how: reason === undefined ? how : `ended by the server: ${reason}`,
      },
      'session closed',
    );
  };

  const follow = (event: LedgerEvent): void => {
    switch (event.kind) {
      case 'opened':
        log.info(
          {
            ...sessionFacts(event.session),
            ...(event.session.file && { key: `${event.session.file}:${event.session.line}` }),
          },
          'session opened',
        );
        onOpened(event.session);
        judge(event.session);
        return;
      case 'closed':
        closed(event.session, howClosed(event.how));
        return;
      case 'refused':
        if (!hideStrangers) strangers.refused(event.refusal);
        return;
      case 'user-child':
        bindUserChild(event.pid);
        return;
    }
  };

  /** Notices what the log does not say: sessions that ended by a signal, connections whose process was in doubt. */
  const sweep = (): void => {
    strangers.tick();
    const forget = (session: Session, how: string): void => {
      if (ledger.forget(session.peer)) closed(session, how);
    };
    for (const session of ledger.sessions()) {
      if (session.process && !isAlive(session.process)) forget(session, 'its process ended');
    }
    if (!ledger.sessions().some((each) => each.process === null)) return;
    const connections = listConnections();
    bindFromProcesses(connections);
    for (const session of ledger.sessions().filter((each) => each.process === null)) {
      judge(session);
      const lost =
        Date.now() - session.since > LOST_MS && candidates(session, ledger.sessions(), connections).length === 0;
      if (lost) forget(session, 'its process ended');
    }
  };
  const timer = setInterval(sweep, SWEEP_MS);
  const bytesTimer = setInterval(() => {
    if (ledger.sessions().length > 0)
      void readTraffic(port).then(
        (read) => (figures = read),
        () => {},
      );
  }, 5 * SWEEP_MS);

  const armExpiry = (): void => {
    if (expiry) clearTimeout(expiry);
    const next = nextExpiry(state, new Date());
    expiry = next === null ? null : setTimeout(judgeAll, Math.min(next - Date.now() + 1000, LONGEST_TIMER_MS));
  };

  /** A connection that no session tells of (its line was lost) is judged by its account alone. */
  const endUnknown = (): void => {
    const known = new Set(ledger.sessions().flatMap((each) => (each.process ? [idOf(each.process)] : [])));
    for (const connection of listConnections()) {
      if (known.has(idOf(connection)) || state.has(connection.account as AccountName)) continue;
      end(connection, { account: connection.account }, 'its account is gone');
    }
  };

  const judgeAll = (): void => {
    for (const session of ledger.sessions()) judge(session);
    armExpiry();
  };

  return {
    /** Takes one line of sshd's log. */
    line: (text: string): ReturnType<typeof parseLogLine> => {
      const event = parseLogLine(text);
      for (const each of ledger.take(event)) follow(each);
      return event;
    },

    /** Takes what is granted from now on, and ends every connection that it does not cover. */
    access: (granted: State): void => {
      const before = state;
      state = granted;
      changes = notePrivileges(
        before,
        state,
        changes,
        { ticks: ticksNow(), at: Date.now() },
        (loginGraceSeconds + 60) * 1000,
      );
      judgeAll();
      if (before.size > 0) endUnknown();
    },

    /** Everybody who is connected, with what the kernel and /proc say just now. */
    list: async (): Promise<readonly SessionView[]> => {
      const [traffic, connections] = [
        await readTraffic(port).catch(() => new Map<string, Traffic>()),
        listConnections(),
      ];
      figures = traffic;
      bindFromProcesses(connections);
      return ledger.sessions().map((session) => viewOf(session, connections, traffic.get(session.peer)));
    },

    /**
     * Ends the sessions of an account, of a key, or of one address and port, because an operator says so.
     *
     * @returns the sessions that it ends
     */
    end: (selector: string): readonly Session[] => {
      const chosen = ledger.sessions().filter((session) => namesOf(session).includes(selector));
      for (const session of chosen) endSession(session, 'an operator ended it');
      return chosen;
    },

    /** Resolves when all that is being ended has ended. */
    settled: async (): Promise<void> => {
      await Promise.all(ending.values());
    },

    close: (): void => {
      clearInterval(timer);
      clearInterval(bytesTimer);
      if (expiry) clearTimeout(expiry);
      sweep();
      strangers.tick(true);
    },
  };
};

export type Tracker = ReturnType<typeof createTracker>;

const namesOf = ({ account, fingerprint, address, port }: Session): string[] => [
  account,
  fingerprint,
  `${address}:${port}`,
  `[${address}]:${port}`,
];

const viewOf = (
  { process, ...session }: Session,
  connections: readonly Connection[],
  traffic: Traffic | undefined,
): SessionView => {
  const carries = ({ peer, pid, start }: Connection): boolean =>
    peer === session.peer || (pid === process?.pid && start === process.start);
  const borg = connections.find(carries)?.borg ?? [];
  return { ...session, received: traffic?.received ?? null, sent: traffic?.sent ?? null, borg };
};
