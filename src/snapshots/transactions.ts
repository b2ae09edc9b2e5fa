import { join } from 'node:path';
import * as z from 'zod';
import { askSnapshotProgram, type NotDone } from './program.ts';
import type { Snapshot } from './store.ts';

const amount = z.object({ segments: z.number(), bytes: z.number() });
const state = amount.extend({ goes: amount, at: z.number().nullable() });

/** The state of a transaction. `goes`: what came later. `at`: when it was committed, in milliseconds since the epoch; null: nothing says so. */
export type TransactionState = z.infer<typeof state>;

const listed = z.object({
  count: z.number(),
  present: z.number(),
  found: z.array(
    z.object({ transaction: z.number(), at: z.number(), snapshots: z.array(z.number()), whole: z.boolean() }),
  ),
});

/**
 * The transactions of an append-only repository: `count` of all, and some of them, the newest first. `present`: the last one. `at`: milliseconds since
 * the epoch. `snapshots`: the numbers of those that have this very state. `whole`: nobody has compacted since.
 */
export type Transactions = z.infer<typeof listed>;

/** Whether a repository can go back from the state of this snapshot to a transaction, and what goes then. */
export const lookAtTransaction = (
  python: string,
  { path }: Snapshot,
  number: number,
): Promise<TransactionState | NotDone> =>
  askSnapshotProgram(python, ['transaction', join(path, 'repository'), String(number)], state);

/** @param most so many of the newest; Infinity: all */
export const listTransactions = (python: string, { path }: Snapshot, most: number): Promise<Transactions | NotDone> =>
  askSnapshotProgram(python, ['transactions', join(path, 'repository'), String(most === Infinity ? 0 : most)], listed);
