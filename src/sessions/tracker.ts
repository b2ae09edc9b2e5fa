import { accountNamed, type State } from '../accounts/account.ts';
import { losers } from '../accounts/narrow.ts';
import { parseLogLine, type SshdEvent } from '../sshd/log.ts';
import type { Message } from '../sshd/message.ts';
import { printable } from '../text/printable.ts';
import { type Alarm, createAlarms } from './alarms.ts';
import { createBucket } from './bucket.ts';
import { createClosing } from './closing.ts';
import { decideByGrant, decideByNumber, decideBySight, noTimes, type Rules, timesAfter } from './decision.ts';
import { createEnding } from './ending.ts';
import { createExpiryTimer } from './expiry-timer.ts';
import { createLedger, type LedgerEvent } from './ledger.ts';
import { type Machine, realMachine } from './machine.ts';
import { idOf, type ProcessId, TICKS_PER_SECOND } from './process.ts';
import { type Granted, nextExpiry, noteLosses } from './revocation.ts';
import { namesOf, type Running, type Session, type SessionView } from './session.ts';
import { viewOf } from './session-view.ts';
import { SETTLE_MS, strayFacts } from './strays.ts';
import type { TrackerOptions } from './tracker-options.ts';
import { createStrangerLog, openedFacts, sessionFacts } from './trail.ts';
import { type Verdict, verdictOnSession } from './verdict.ts';
import { createWitness, type Sight } from './witness.ts';

const SWEEP_MS = 1000;
/** When to look whether a session is really over after sshd has said so, in ms from then. */
const FAREWELLS_MS = [0, 20, 60, 150, 400];
const COMPLAINTS = { burst: 3, perSecond: 1 / 60 };
/** How often the kernel is asked for bytes. */
const SWEEPS_TO_TRAFFIC = 5;
/** After a look at all processes, the next one waits this many times as long as the look took. */
const REST = 20;
/** How long sshd may take from a login's line to its process. A client that does not read holds it up there (unseen.ts). */
const UNSEEN_MS = 10_000;
/** Beyond LoginGraceTime, for a busy machine. */
const SPARE_SECONDS = 60;

/**
 * Knows who is connected, and ends those who may not be any more. It is fed with sshd's messages and with every new state. What the kernel shows
 * decides (witness.ts). What sshd says is only a label (ledger.ts). decision.ts decides who must end, and why.
 *
 * @param machine what it looks at, and what ends connections
 */
export const createTracker = (options: TrackerOptions, machine: Machine = realMachine(options.port)) => {
  const { log, loginGraceSeconds, hideStrangers, sessionsPerAccount, isAccount, hosted, onOpened, onClosed, endOf } =
    options;
  const { clock, proc, traffic } = machine;
  const { now, steady } = clock;
  const graceSeconds = loginGraceSeconds + SPARE_SECONDS;
  let granted: Granted = { state: new Map(), losses: new Map() };
  let times = noTimes({ steady: steady() });
  let sweeps = 0;
  let nextLook = 0;
  const witness = createWitness(isAccount, hosted.correct, proc, clock);
  const ledger = createLedger(() => granted.state, witness.isConnection, now, steady);
  const strangers = createStrangerLog(log, steady);
  const alarms = createAlarms(now);
  const mayComplain = createBucket(COMPLAINTS.burst, COMPLAINTS.perSecond, steady);
  const closing = createClosing({ log, ledger, traffic, hosted, proc, steady, endOf, onClosed });

  const alarm = (facts: object, what: string): void => {
    if (alarms.raise(what)) log.error(facts, what);
  };
  const ending = createEnding(
    log,
    machine.end,
    { outsiders: witness.outsiders, hosted },
    () => sweep(),
    (root) => alarm({ pid: root?.pid }, 'a session could not be ended: its process is still there after KILL'),
  );

  const rules = (): Rules => ({ ...granted, sessionsPerAccount, graceSeconds });

  const carryOut = (verdict: Verdict): void => {
    const { kind, uid, session, reason } = verdict;
    // What an earlier verdict is ending already is not told twice.
    const roots = kind === 'process' ? verdict.roots.filter((each) => !ending.covers(each)) : verdict.roots;
    if (roots.length === 0) return;
    const facts = session ? sessionFacts(session) : strayFacts({ kind, roots, uid }, granted.state);
    if (verdict.alarm !== null) alarm(facts, verdict.alarm);
    if (session) closing.because(session, reason);
    ending.end({ kind, roots, uid }, facts, reason);
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
        for (const milliseconds of FAREWELLS_MS) clock.after(milliseconds, () => survive(() => closing.settle()));
        return;
      case 'refused':
        if (!hideStrangers) strangers.refused(event.refusal);
        return;
      case 'contradicted':
        alarm(
          { account: printable(event.account, 100), from: event.address, pid: event.writer.pid, uid: event.writer.uid },
          'sshd’s log tells of a login, and the process that wrote it is no connection that was logging in',
        );
        if (event.session) carryOut(verdictOnSession(event.session, 'its log tells of two logins'));
        return;
    }
  };

  /** For example, the table of files is full. That must not end the server and all backups with it: the next sweep tries again. */
  const survive = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (mayComplain()) log.warn({ error: String(error) }, 'the sessions could not be looked at; it is tried again');
    }
  };

  /**
   * Compares what sshd has told with what the kernel shows.
   *
   * @param lost user ids of accounts that have just lost something
   */
  const compare = (lost: ReadonlySet<number> = new Set()): Sight => {
    const begun = steady();
    const sight = witness.look();
    for (const event of ledger.look(sight.connections)) follow(event);
    const shown = {
      ...{ connections: sight.connections, isTold: ledger.has, over: hosted.over, lost },
      ...{ unseen: ledger.unseen(UNSEEN_MS), outside: sight.outsiders.filter((each) => !ending.covers(each)) },
    };
    const [sessions, at] = [ledger.sessions(), { steady: steady(), ticks: proc.ticks() }];
    times = timesAfter(times, sessions, shown, rules(), at);
    for (const verdict of decideBySight(sessions, shown, times, rules(), at)) carryOut(verdict);
    const listed = new Set(sight.connections.map(idOf));
    hosted.forget((connection) => ledger.has(connection) || listed.has(idOf(connection)));
    const ended = steady();
    nextLook = ended + REST * (ended - begun);
    return sight;
  };

  const judge = (session: Session): void => {
    const verdict = decideByGrant(session, granted, { now: now() });
    if (verdict) carryOut(verdict);
  };
  /** Each by itself: if one cannot be judged, the others still are. */
  const judgeAll = (): void => {
    for (const session of ledger.sessions()) survive(() => judge(session));
  };

  const look = (): void => {
    // Each by itself: where the kernel has no file left to open, sessions are judged all the same.
    survive(() => {
      for (const event of ledger.overdue(graceSeconds * 1000)) follow(event);
      strangers.tick();
    });
    survive(() => closing.settle());
    judgeAll();
    for (const verdict of decideByNumber(ledger.sessions(), rules(), { steady: steady() })) carryOut(verdict);
    if (steady() >= nextLook) compare();
  };
  const sweep = (): void => survive(look);

  const timer = clock.every(SWEEP_MS, () => {
    sweeps += 1;
    sweep();
    if (sweeps % SWEEPS_TO_TRAFFIC === 0 && ledger.sessions().length > 0) void traffic.look();
  });

  const judgeAndWait = (): void => {
    judgeAll();
    expiry.set(nextExpiry(granted.state, new Date(now())));
  };
  const expiry = createExpiryTimer(clock, () => survive(judgeAndWait));

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
    access: (state: State): void => {
      const before = granted.state;
      const keep = graceSeconds * TICKS_PER_SECOND;
      granted = { state, losses: noteLosses(before, state, granted.losses, proc.ticks(), keep) };
      const uids = new Set([...losers(before, state)].flatMap((name) => accountNamed(before, name)?.uid ?? []));
      survive(judgeAndWait);
      if (uids.size === 0) return;
      survive(() => compare(uids));
      clock.after(SETTLE_MS + 1, () => survive(compare));
    },

    /** Everybody who is connected, with what the kernel and /proc say just now. */
    list: async (): Promise<readonly SessionView[]> => {
      await traffic.look();
      const { connections } = compare();
      closing.settle();
      return ledger
        .sessions()
        .map((session) => viewOf(session, connections, traffic.of(session.peer), hosted.over, proc));
    },

    /** What the kernel shows, for the end of the server: connections that are logged in, and accounts' processes without one. */
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
    sessions: ledger.sessions,
    alarms: (): readonly Alarm[] => alarms.list(),

    /**
     * Ends the sessions of an account, of a key, or of one address and port, because an operator says so.
     *
     * @returns the sessions that it ends
     */
    end: (selector: string): readonly Session[] => {
      const chosen = ledger.sessions().filter((session) => namesOf(session).includes(selector));
      for (const session of chosen) carryOut(verdictOnSession(session, 'an operator ended it'));
      return chosen;
    },

    close: async (): Promise<void> => {
      timer.cancel();
      expiry.set(null);
      await ending.settled();
      sweep();
      survive(() => closing.settle(true));
      strangers.tick(true);
    },
  };
};

export type Tracker = ReturnType<typeof createTracker>;
