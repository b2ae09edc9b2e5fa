import { accountNamed, type State } from '../accounts/account.ts';
import { losers } from '../accounts/narrow.ts';
import { parseLogLine, type SshdEvent } from '../sshd/log.ts';
import type { Message } from '../sshd/message.ts';
import { printable } from '../text/printable.ts';
import { type Alarm, createAlarms } from './alarms.ts';
import { createBucket } from './bucket.ts';
import { createClosing } from './closing.ts';
import { connectionsBeyond, createCrowdWatch } from './crowd.ts';
import { createEnding } from './ending.ts';
import { createExpiryTimer } from './expiry-timer.ts';
import { createLedger, type LedgerEvent } from './ledger.ts';
import { idOf, type ProcessId, TICKS_PER_SECOND } from './process.ts';
import { createTicks } from './processes.ts';
import { mayHoldLostPrivileges, nextExpiry, noteLosses, type PrivilegeLosses, reasonToEnd } from './revocation.ts';
import { namesOf, type Running, type Session, type SessionView, sessionsOver, viewOf } from './session.ts';
import { createStrays, SETTLE_MS, type Stray, strayFacts } from './strays.ts';
import type { TrackerOptions } from './tracker-options.ts';
import { createTrafficWatch } from './traffic.ts';
import { createStrangerLog, openedFacts, sessionFacts } from './trail.ts';
import { whyImpossible } from './unseen.ts';
import { createWitness, type Sight } from './witness.ts';

const SWEEP_MS = 1000;
/** When it is looked whether a session is over that is said to be, in ms from then. */
const FAREWELLS_MS = [0, 20, 60, 150, 400];
const COMPLAINTS = { burst: 3, perSecond: 1 / 60 };
/** How often the kernel is asked for bytes. */
const SWEEPS_TO_TRAFFIC = 5;
/** Of the time that a look at all processes takes, how much passes until the next. */
const REST = 20;
/** How long sshd may take from a login's line to its process: a client that does not read keeps it there (unseen.ts). */
const UNSEEN_MS = 10_000;
/** Beyond LoginGraceTime, for a busy machine. */
const SPARE_SECONDS = 60;

/**
 * Knows who is connected, and ends whoever may not be any more. Fed with sshd's messages and with every new state. What the kernel
 * shows decides (witness.ts); what sshd says are labels (ledger.ts); why somebody must go is in revocation.ts and strays.ts.
 */
export const createTracker = (options: TrackerOptions) => {
  const { log, port, loginGraceSeconds, hideStrangers, sessionsPerAccount, isAccount, hosted, onOpened, endOf } =
    options;
  const steady = (): number => performance.now();
  let state: State = new Map();
  let losses: PrivilegeLosses = new Map();
  const ticks = createTicks();
  let sweeps = 0;
  let nextLook = 0;
  const traffic = createTrafficWatch(port);
  const witness = createWitness(isAccount, hosted.correct, ticks);
  const ledger = createLedger(() => state, witness.isConnection, Date.now, steady);
  const strangers = createStrangerLog(log, steady);
  const alarms = createAlarms(Date.now);
  const strays = createStrays(steady);
  const crowdedConnections = createCrowdWatch(sessionsPerAccount, steady);
  const mayComplain = createBucket(COMPLAINTS.burst, COMPLAINTS.perSecond, steady);
  const closing = createClosing({ log, ledger, traffic, hosted, steady, endOf });

  const alarm = (facts: object, what: string): void => {
    if (alarms.raise(what)) log.error(facts, what);
  };
  const ending = createEnding(
    log,
    { outsiders: witness.outsiders, hosted },
    () => sweep(),
    (root) => alarm({ pid: root?.pid }, 'a session could not be ended: its process is still there after KILL'),
  );

  const endSession = (session: Session, reason: string): void => {
    closing.because(session, reason);
    ending.end({ kind: 'session', roots: [session.process], uid: session.uid }, sessionFacts(session), reason);
  };

  const judge = (session: Session): void => {
    const reason = reasonToEnd(session, state, new Date());
    if (reason !== null) endSession(session, reason);
    else if (mayHoldLostPrivileges(session.account, session.process.start, losses))
      endSession(session, 'it began to log in before its privileges changed');
  };

  const follow = (event: LedgerEvent): void => {
    switch (event.kind) {
      case 'accepted':
        judge(event.session);
        return;
      case 'opened':
        log.info(openedFacts(event.session), 'session opened');
        onOpened(event.session);
        return;
      case 'leaving':
        for (const milliseconds of FAREWELLS_MS) setTimeout(() => survive(() => closing.settle()), milliseconds);
        return;
      case 'refused':
        if (!hideStrangers) strangers.refused(event.refusal);
        return;
      case 'contradicted':
        alarm(
          { account: printable(event.account, 100), from: event.address, pid: event.writer.pid, uid: event.writer.uid },
          'sshd’s log tells of a login, and the process that wrote it is no connection that was logging in',
        );
        if (event.session) endSession(event.session, 'its log tells of two logins');
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

  const endStray = (stray: Stray): void => {
    const facts = strayFacts(stray, state);
    if (stray.alarm) alarm(facts, 'a connection is logged in of which sshd’s log does not tell; it is ended');
    ending.end({ kind: stray.kind, roots: stray.processes, uid: stray.uid }, facts, stray.why);
  };

  /** Holds what sshd has told against what the kernel shows. */
  const compare = (lost: ReadonlySet<number> = new Set()): Sight => {
    const begun = steady();
    const sight = witness.look();
    for (const event of ledger.look(sight.connections)) follow(event);
    for (const session of ledger.unseen(UNSEEN_MS)) {
      const why = whyImpossible(session, sight.connections, ticks(), loginGraceSeconds + SPARE_SECONDS);
      if (why !== null)
        alarm(sessionFacts(session), `sshd’s log tells of a login, and ${why}; its connection is ended`);
      endSession(session, 'the kernel does not show its login');
    }
    const outside = sight.outsiders.filter((each) => !ending.covers(each));
    const unlabelled = sight.connections.filter((each) => each.uid !== null && !ledger.has(each));
    for (const stray of strays(unlabelled, outside, state, losses, lost)) endStray(stray);
    for (const session of crowdedConnections(ledger.sessions(), sessionsOver(sight.connections, hosted.over)))
      endSession(session, `its account has more than ${sessionsPerAccount} sessions (SESSIONS_PER_ACCOUNT)`);
    const shown = new Set(sight.connections.map(idOf));
    hosted.forget((connection) => ledger.has(connection) || shown.has(idOf(connection)));
    const now = steady();
    nextLook = now + REST * (now - begun);
    return sight;
  };

  /** Judges everybody again: whatever has failed the first time must not keep anybody in. */
  const look = (): void => {
    for (const event of ledger.overdue((loginGraceSeconds + SPARE_SECONDS) * 1000)) follow(event);
    strangers.tick();
    closing.settle();
    for (const session of ledger.sessions()) judge(session);
    for (const session of connectionsBeyond(ledger.sessions(), sessionsPerAccount, steady()))
      endSession(session, `its account has more than ${sessionsPerAccount} connections (SESSIONS_PER_ACCOUNT)`);
    if (steady() >= nextLook) compare();
  };
  const sweep = (): void => survive(look);

  const timer = setInterval(() => {
    sweeps += 1;
    sweep();
    if (sweeps % SWEEPS_TO_TRAFFIC === 0 && ledger.sessions().length > 0) void traffic.look();
  }, SWEEP_MS);

  const judgeAll = (): void => {
    for (const session of ledger.sessions()) judge(session);
    expiry.set(nextExpiry(state, new Date()));
  };
  const expiry = createExpiryTimer(() => survive(judgeAll));

  return {
    /** Takes sshd's own process, before its first message. */
    listens: (listener: ProcessId): void => witness.follow(listener),

    /** Takes one message of sshd's log. */
    message: ({ text, ...writer }: Message): SshdEvent => {
      const event = parseLogLine(text);
      survive(() => {
        for (const each of ledger.take(event, writer)) survive(() => follow(each));
      });
      return event;
    },

    /** Takes what is granted from now on, and ends every connection that it does not cover. */
    access: (granted: State): void => {
      const keep = (loginGraceSeconds + SPARE_SECONDS) * TICKS_PER_SECOND;
      const before = state;
      losses = noteLosses(before, granted, losses, ticks(), keep);
      const lost = losers(before, granted);
      const uids = new Set([...lost].flatMap((name) => accountNamed(before, name)?.uid ?? []));
      state = granted;
      survive(judgeAll);
      if (uids.size === 0) return;
      survive(() => compare(uids));
      setTimeout(() => survive(compare), SETTLE_MS + 1);
    },

    /** Everybody who is connected, with what the kernel and /proc say just now. */
    list: async (): Promise<readonly SessionView[]> => {
      await traffic.look();
      const { connections } = compare();
      closing.settle();
      return ledger.sessions().map((session) => viewOf(session, connections, traffic.of(session.peer), hosted.over));
    },

    /** What the kernel shows, for the end of the server: who is logged in, or is an account's without a connection. */
    running: (): readonly Running[] => {
      const { connections, outsiders } = witness.look();
      const names = new Map(ledger.sessions().map(({ process, account }) => [idOf(process), account]));
      return [...connections.filter(({ uid }) => uid !== null), ...outsiders].map((each) => ({
        ...{ pid: each.pid, start: each.start, uid: each.uid },
        account: names.get(idOf(each)) ?? `uid ${each.uid}`,
      }));
    },

    outsiders: witness.outsiders,
    hosted,
    /** Whose connection this is, by its root process. */
    sessionOf: ledger.sessionOf,
    alarms: (): readonly Alarm[] => alarms.list(),

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

    close: async (): Promise<void> => {
      clearInterval(timer);
      expiry.set(null);
      await ending.settled();
      sweep();
      survive(() => closing.settle(true));
      strangers.tick(true);
    },
  };
};

export type Tracker = ReturnType<typeof createTracker>;
