import { compareText } from '../text/order.ts';
import type { State } from './account.ts';

/** When a key last opened an account, and from where. */
export type LastSeen = {
  readonly account: string;
  readonly fingerprint: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly address: string;
};

/** How many are kept of keys that nothing grants any more: enough to look into the past, never without end. */
const MOST_FORGOTTEN = 10_000;

/** Leaves out the oldest entries of keys that are granted no more, so that the record is bounded. */
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
