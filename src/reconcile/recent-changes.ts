import type { Change } from '../accounts/diff.ts';

/** A change that was applied before anybody asked for it, and how long ago. */
export type RecentChange = Change & { readonly secondsAgo: number };

const KEPT_MS = 60_000;
const MOST = 100;

/**
 * Remembers the changes of the last minute. Somebody who drops a key and then runs update-borgusers finds it applied already.
 * They should be told so, instead of "nothing to change".
 *
 * @param now milliseconds of a steady clock
 */
export const createRecentChanges = (now: () => number) => {
  let kept: readonly { readonly change: Change; readonly at: number }[] = [];
  const fresh = () => kept.filter(({ at }) => now() - at < KEPT_MS);
  return {
    add: (changes: readonly Change[]): void => {
      if (changes.length > 0) kept = [...fresh(), ...changes.map((change) => ({ change, at: now() }))].slice(-MOST);
    },
    list: (): readonly RecentChange[] =>
      fresh().map(({ change, at }) => ({ ...change, secondsAgo: Math.round((now() - at) / 1000) })),
  };
};

export type RecentChanges = ReturnType<typeof createRecentChanges>;
