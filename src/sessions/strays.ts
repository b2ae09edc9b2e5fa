import type { State } from '../accounts/account.ts';
import type { Connection } from './connections.ts';
import { dueOutsiders, followOutsiders, NO_OUTSIDERS, type OutsiderTimes } from './outsider-times.ts';
import { idOf, type Process } from './process.ts';
import { type Granted, mayHoldLostPrivileges } from './revocation.ts';
import { type Verdict, verdictOnConnection, verdictOnOutsiders } from './verdict.ts';

/** Within this time sshd's line about a successful login is read, however busy the machine is. */
const PATIENCE_MS = 10_000;
/** The same where its account has just lost a key: a client that got in with that key must not stay. */
export const SETTLE_MS = 100;

/** The most that counts of the time between two looks: a server that did not run meanwhile has not read sshd's lines either. */
const LONGEST_STEP_MS = 3000;

/** What identifies it in the log. Admins share a user id, and the first name is used for all of them. */
export const strayFacts = ({ roots, uid, kind }: Pick<Verdict, 'roots' | 'uid' | 'kind'>, state: State): object => {
  const account = [...state.values()].find((each) => each.uid === uid)?.name;
  return {
    ...(account !== undefined && { account }),
    ...{ uid, pid: roots[0]?.pid },
    ...(roots.length > 1 && { processes: roots.length }),
    ...(kind === 'process' && { outside: 'it ran under no connection' }),
  };
};

/** What the kernel shows and no session explains: the line about it was lost, or it has left its connection. */
export type Strays = {
  /** Connections that are logged in. */
  readonly connections: readonly Connection[];
  /** Processes of accounts under no connection. */
  readonly outside: readonly Process[];
};

/** Since when they are seen. */
export type StrayTimes = {
  /** The time of the last look, in milliseconds of a steady clock, and how long this server has really run until then. */
  readonly looked: number;
  readonly lived: number;
  /** By connection, in the same measure as `lived`. */
  readonly connections: ReadonlyMap<string, number>;
  /** Connections whose account has lost something meanwhile. */
  readonly urgent: ReadonlySet<string>;
  readonly outsiders: OutsiderTimes;
};

/** @param now milliseconds of a steady clock */
export const noStrays = (now: number): StrayTimes => ({
  ...{ looked: now, lived: 0, connections: new Map(), urgent: new Set() },
  outsiders: NO_OUTSIDERS,
});

/**
 * The times after a look.
 *
 * @param lost user ids of accounts that have just lost something: their strays get hardly any time
 * @param now milliseconds of a steady clock
 */
export const followStrays = (
  before: StrayTimes,
  { connections, outside }: Strays,
  lost: ReadonlySet<number>,
  now: number,
): StrayTimes => {
  const lived = before.lived + Math.min(now - before.looked, LONGEST_STEP_MS);
  const since = new Map(connections.map(idOf).map((id) => [id, before.connections.get(id) ?? lived]));
  const ofLosers = connections.filter(({ uid }) => uid !== null && lost.has(uid)).map(idOf);
  return {
    ...{ looked: now, lived, connections: since },
    urgent: new Set([...[...before.urgent].filter((id) => since.has(id)), ...ofLosers]),
    outsiders: followOutsiders(before.outsiders, outside, lost, now),
  };
};

/**
 * Which of them must end.
 *
 * @param times after the look that has seen them
 */
export const judgeStrays = (
  { connections, outside }: Strays,
  times: StrayTimes,
  { state, losses }: Granted,
): readonly Verdict[] => {
  const accounts = Map.groupBy(state.values(), ({ uid }) => uid);
  const isLong = (id: string, milliseconds: number): boolean =>
    times.lived - (times.connections.get(id) ?? times.lived) >= milliseconds;

  const ofConnections = connections.flatMap((connection): Verdict[] => {
    const { uid } = connection;
    const names = (accounts.get(uid ?? -1) ?? []).map(({ name }) => name);
    if (names.length === 0) return [verdictOnConnection(connection, uid, 'its account is gone')];
    // Admins share a user id: it may be any of them.
    if (names.some((name) => mayHoldLostPrivileges(name, connection.start, losses)))
      return [verdictOnConnection(connection, uid, 'its account lost a privilege')];
    const id = idOf(connection);
    if (!isLong(id, times.urgent.has(id) ? SETTLE_MS : PATIENCE_MS)) return [];
    const alarm = 'a connection is logged in of which sshd’s log does not tell; it is ended';
    return [verdictOnConnection(connection, uid, 'it cannot be told which key opened it', alarm)];
  });
  const accountsOf = (uid: number): number => accounts.get(uid)?.length ?? 0;
  const due = dueOutsiders(outside, times.outsiders, accountsOf, SETTLE_MS, times.looked);
  const leavers = [...due].map(([uid, processes]) =>
    verdictOnOutsiders(processes, uid, accounts.has(uid) ? 'its connection has ended' : 'its account is gone'),
  );
  return [...ofConnections, ...leavers];
};
