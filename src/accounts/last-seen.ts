import { compareText } from '../text/order.ts';
import type { State } from './account.ts';

/** When a key last opened an account, and from which address. */
export type LastSeen = {
  readonly account: string;
  readonly fingerprint: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly address: string;
};

/** How many entries are kept for keys that are no longer granted: enough to look into the past, but bounded. */
const MOST_FORGOTTEN = 10_000;

/** Drops the oldest entries of keys that are no longer granted, so that the record is bounded. */
export const boundSeen = (known: readonly LastSeen[], state: State): readonly LastSeen[] => {
  const granted = new Set(
    [...state.values()].flatMap(({ name, keys }) => keys.map((key) => `${name} ${key.fingerprint}`)),
  );
  const isGranted = ({ account, fingerprint }: LastSeen): boolean => granted.has(`${account} ${fingerprint}`);
  const forgotten = known.filter((each) => !isGranted(each)).sort((a, b) => compareText(b.at, a.at));
  return [...known.filter(isGranted), ...forgotten.slice(0, MOST_FORGOTTEN)].sort(
    (a, b) => compareText(a.account, b.account) || compareText(a.fingerprint, b.fingerprint),
  );
};
