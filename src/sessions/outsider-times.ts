import type { Process } from './process.ts';
import { idOf } from './process.ts';

/** In which a process whose connection has just ended ends by itself. */
const FAREWELL_MS = 1000;
/**
 * How long an account may have processes under no connection that are others in each look. One that forks and ends again and again
 * never gets old. Where accounts share a user id, sessions that have just ended may look like it.
 */
const CHAIN_MS = 3000;
const SHARED_CHAIN_MS = 10_000;
/** Looks that see none of them make no pause: what lives for a millisecond is missed by most. */
const PAUSE_MS = 3000;
/** How long a loss is remembered: a chain may be missed by the look at the loss itself. */
const URGENT_MS = 10_000;

/**
 * Tells whose processes under no connection must end. All of that user id then: which of them comes from which is not known any more.
 *
 * @param now milliseconds of a steady clock
 * @param settleMs how long they get where their account has just lost something, or is gone
 */
export const createOutsiderTimes = (now: () => number, settleMs: number) => {
  let since: ReadonlyMap<string, number> = new Map();
  let uids: ReadonlyMap<number, { readonly since: number; readonly seen: number }> = new Map();
  const lostAt = new Map<number, number>();

  /**
   * @param accountsOf how many accounts have a user id
   * @param lost user ids of accounts that have just lost something
   */
  return (
    outside: readonly Process[],
    accountsOf: (uid: number) => number,
    lost: ReadonlySet<number>,
  ): ReadonlyMap<number, readonly Process[]> => {
    const time = now();
    since = new Map(outside.map(idOf).map((id) => [id, since.get(id) ?? time]));
    const groups = Map.groupBy(outside, ({ uid }) => uid);
    const rested = [...uids].filter(([, { seen }]) => time - seen <= PAUSE_MS);
    const known = new Map(rested);
    for (const uid of groups.keys()) known.set(uid, { since: known.get(uid)?.since ?? time, seen: time });
    uids = known;
    for (const uid of lost) lostAt.set(uid, time);
    for (const [uid, at] of lostAt) if (time - at > URGENT_MS) lostAt.delete(uid);

    const isDue = (uid: number, group: readonly Process[]): boolean => {
      const accounts = accountsOf(uid);
      const urgent = accounts === 0 || lostAt.has(uid);
      const oldest = time - Math.min(...group.map((each) => since.get(idOf(each)) ?? time));
      const whole = time - (known.get(uid)?.since ?? time);
      if (urgent) return whole >= settleMs;
      return oldest >= FAREWELL_MS || whole >= (accounts === 1 ? CHAIN_MS : SHARED_CHAIN_MS);
    };
    return new Map([...groups].filter(([uid, group]) => isDue(uid, group)));
  };
};
