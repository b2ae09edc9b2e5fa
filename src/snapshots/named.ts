import type { Snapshot } from './store.ts';

/** How somebody names a snapshot, as the end of a sentence. */
export const NAMED_BY = 'a number, or a time such as 2026-11-20T03:00Z: the last snapshot until then';

/**
 * The snapshot that somebody names by its number, or by a time.
 *
 * @param all the oldest first
 * @returns null where there is none; 'misread' where it is not NAMED_BY
 */
export const snapshotNamed = (all: readonly Snapshot[], name: string): Snapshot | null | 'misread' => {
  if (/^[1-9]\d{0,8}$/.test(name)) return all.find(({ number }) => number === Number(name)) ?? null;
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$/.test(name) ? Date.parse(name) : Number.NaN;
  if (Number.isNaN(time)) return 'misread';
  return all.filter(({ at }) => at <= time).at(-1) ?? null;
};
