/** When a snapshot was taken, in ms since the epoch. */
type Taken = { readonly at: number };

const DAY_MS = 24 * 60 * 60_000;

/**
 * Which snapshots of one repository may be removed.
 *
 * A snapshot holds a state for as long as no newer one has taken its place. So its time to live begins when the next one is taken: the newest
 * never expires, however old it is, since it may be all that is left of a repository that nobody touched for a year until a thief came. A
 * snapshot that was replaced more than a day ago is kept only if it is the last one of its day (UTC).
 *
 * @param snapshots in any order
 * @param keep ms for which a state is kept after it was replaced; null: without end
 * @param now ms since the epoch; after a clock that ran ahead was set back, it may be before a snapshot
 */
export const expired = <S extends Taken>(
  snapshots: readonly S[],
  { keep, now }: { readonly keep: number | null; readonly now: number },
): readonly S[] => {
  const inOrder = snapshots.toSorted((one, other) => one.at - other.at);
  return inOrder.filter((snapshot, place) => {
    const next = inOrder[place + 1];
    if (next === undefined) return false;
    const replacedFor = now - next.at;
    if (keep !== null && replacedFor > keep) return true;
    return replacedFor > DAY_MS && dayOf(snapshot) === dayOf(next);
  });
};

const dayOf = ({ at }: Taken): number => Math.floor(at / DAY_MS);
