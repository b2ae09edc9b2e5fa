import { readDuration } from '../text/duration.ts';

/** For how long a state of a repository is kept once it is replaced: seconds; Infinity: until somebody removes it; 'no': nothing is kept. */
export type SnapshotKeep = number | 'no';

/**
 * Reads SNAPSHOT_KEEP, or the directive of an account: `14d`, `forever` or `no`.
 *
 * @returns what it means, or what is wrong with it, as the end of a sentence
 */
export const readSnapshotKeep = (text: string): SnapshotKeep | { readonly problem: string } => {
  if (text === 'no') return 'no';
  if (text === 'forever') return Infinity;
  // `never` could mean two things here.
  const read = text === 'never' ? 'never' : readDuration(text);
  return typeof read === 'number'
    ? read
    : { problem: 'must be a number and h, d or w, for example 14d, or forever, or no' };
};

/** As readSnapshotKeep reads it. */
export const snapshotKeepText = (keep: SnapshotKeep): string => {
  if (keep === 'no') return keep;
  if (keep === Infinity) return 'forever';
  const [name, size] = UNITS.find(([, each]) => keep % each === 0) ?? ['min', 60];
  return `${keep / size}${name}`;
};

/** What keeps most. */
export const longestKeep = (keeps: Iterable<SnapshotKeep>): SnapshotKeep => {
  const most = Math.max(0, ...[...keeps].map((keep) => (keep === 'no' ? 0 : keep)));
  return most === 0 ? 'no' : most;
};

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
] as const;
