import { type Described, describeSnapshot } from './compare.ts';
import type { Snapshot } from './store.ts';
import type { TransactionState } from './transactions.ts';

/** What a repository is put back to. */
export type Target = {
  /** Of its files the new tree is made. */
  readonly snapshot: Snapshot;
  /** Only what it has until this transaction. Null: all of it. */
  readonly transaction: number | null;
  readonly described: Described;
};

export const targetOfSnapshot = (snapshot: Snapshot): Target => ({
  ...{ snapshot, transaction: null, described: describeSnapshot(snapshot) },
});

/** The key, and whatever else is in no segment, is that of the snapshot. */
export const targetOfTransaction = (
  snapshot: Snapshot,
  transaction: number,
  { segments, bytes, at }: TransactionState,
): Target => ({
  ...{ snapshot, transaction },
  described: { ...describeSnapshot(snapshot), transaction, segments, bytes, at, objects: null },
});

/** `snapshot 7`, `transaction 31` */
export const targetName = ({ described: { number }, transaction }: Omit<Target, 'snapshot'>): string =>
  transaction === null ? `snapshot ${number}` : `transaction ${transaction}`;
