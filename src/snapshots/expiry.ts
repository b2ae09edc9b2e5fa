/**
 * A snapshot's number is one more than that of the one before it, of the same repository. `at`: when it was taken, ms since the epoch. Only the
 * number says which of two is newer: a clock may be set back.
 */
type Taken = { readonly number: number; readonly at: number };

const DAY_MS = 24 * 60 * 60_000;
/** So many states, each the last one of its day, are kept whatever the clock says. */
const LEAST = 3;

/**
 * Which snapshots of one repository may be removed.
 *
 * A snapshot holds a state for as long as no newer one has taken its place. So its time to live begins when the next one is taken: the newest
 * never expires, however old it is, since it may be all that is left of a repository that nobody touched for a year until a thief came. A
 * snapshot that was replaced more than a day ago is kept only if it is the last one of its day (UTC), or is spared.
 *
 * A clock may be wrong, for example after a power cut. If it is years ahead for a moment, everything looks old. So the last states of the last
 * days on which something changed stay: three, or as many as there are days in `keep`.
 *
 * @param snapshots in any order. Only whole ones: a snapshot that failed replaces nothing
 * @param keep ms for which a state is kept after it was replaced; null: without end
 * @param isSpared whether it stays as if it were the last one of its day. It is asked only where that counts
 * @param now ms since the epoch; after a clock that ran ahead was set back, it may be before a snapshot
 */
export const expired = <S extends Taken>(
  snapshots: readonly S[],
  {
    keep,
    now,
    isSpared = () => false,
  }: { readonly keep: number | null; readonly now: number; readonly isSpared?: (snapshot: S) => boolean },
): readonly S[] => {
  const inOrder = snapshots.toSorted((one, other) => one.number - other.number);
  const lastOfDays = inOrder.filter((snapshot, place) => !isReplacedOnItsDay(snapshot, inOrder[place + 1]));
  const least = keep === null ? LEAST : Math.min(LEAST, Math.max(1, Math.floor(keep / DAY_MS)));
  const safe = new Set(lastOfDays.slice(-least));
  return inOrder.filter((snapshot, place) => {
    const next = inOrder[place + 1];
    if (next === undefined || safe.has(snapshot)) return false;
    const replacedFor = now - next.at;
    if (keep !== null && replacedFor > keep) return true;
    return replacedFor > DAY_MS && isReplacedOnItsDay(snapshot, next) && !isSpared(snapshot);
  });
};

const isReplacedOnItsDay = (snapshot: Taken, next: Taken | undefined): boolean =>
  next !== undefined && Math.floor(snapshot.at / DAY_MS) === Math.floor(next.at / DAY_MS);
