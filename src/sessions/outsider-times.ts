import { idOf, type Process } from './process.ts';

/** Within this time a process ends by itself after its connection has ended. */
const FAREWELL_MS = 1000;
/**
 * How long an account may have processes under no connection that are different ones in each look. A process that forks and ends again and again
 * never gets old. Where accounts share a user id, sessions that have just ended may look like that.
 */
const CHAIN_MS = 3000;
const SHARED_CHAIN_MS = 10_000;
/** They count as gone only after this time without any: most looks miss a process that lives for a millisecond. */
const PAUSE_MS = 3000;
/** How long a loss is remembered: the look at the loss itself may miss such a chain. */
const URGENT_MS = 10_000;

/** Since when there are processes under no connection. All times are milliseconds of a steady clock. */
export type OutsiderTimes = {
  readonly processes: ReadonlyMap<string, number>;
  /** By user id that has any, even if each look sees different ones. */
  readonly uids: ReadonlyMap<number, { readonly since: number; readonly seen: number }>;
  /** When the account of a user id has last lost something. */
  readonly losses: ReadonlyMap<number, number>;
};

export const NO_OUTSIDERS: OutsiderTimes = { processes: new Map(), uids: new Map(), losses: new Map() };

/**
 * The times after a look.
 *
 * @param outside what it has seen
 * @param lost user ids of accounts that have just lost something
 */
export const followOutsiders = (
  before: OutsiderTimes,
  outside: readonly Process[],
  lost: ReadonlySet<number>,
  now: number,
): OutsiderTimes => {
  const uids = new Map([...before.uids].filter(([, { seen }]) => now - seen <= PAUSE_MS));
  for (const { uid } of outside) uids.set(uid, { since: uids.get(uid)?.since ?? now, seen: now });
  const losses = new Map([...before.losses, ...[...lost].map((uid) => [uid, now] as const)]);
  for (const [uid, at] of losses) if (now - at > URGENT_MS) losses.delete(uid);
  return { processes: new Map(outside.map(idOf).map((id) => [id, before.processes.get(id) ?? now])), uids, losses };
};

/**
 * The processes under no connection that must end, by user id. All of a user id must end together: nobody knows any more which of them comes
 * from which.
 *
 * @param times after the look that has seen them
 * @param accountsOf how many accounts have a user id
 * @param settleMs how long they get where their account has just lost something, or is gone
 */
export const dueOutsiders = (
  outside: readonly Process[],
  times: OutsiderTimes,
  accountsOf: (uid: number) => number,
  settleMs: number,
  now: number,
): ReadonlyMap<number, readonly Process[]> => {
  const isDue = (uid: number, group: readonly Process[]): boolean => {
    const accounts = accountsOf(uid);
    const urgent = accounts === 0 || times.losses.has(uid);
    const oldest = now - Math.min(...group.map((each) => times.processes.get(idOf(each)) ?? now));
    const whole = now - (times.uids.get(uid)?.since ?? now);
    if (urgent) return whole >= settleMs;
    return oldest >= FAREWELL_MS || whole >= (accounts === 1 ? CHAIN_MS : SHARED_CHAIN_MS);
  };
  const groups = Map.groupBy(outside, ({ uid }) => uid);
  return new Map([...groups].filter(([uid, group]) => isDue(uid, group)));
};
