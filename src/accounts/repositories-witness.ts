import { compareText } from '../text/order.ts';
import type { Registry } from './identity.ts';

/** What is kept beside the key tree of the disk that /repos is: so that it is missed where it is missing, with all that lies on it. */
export type Witness = {
  /** The mark of that disk, which the server has put there. */
  readonly disk: string;
  readonly registry: Registry;
};

/** What is in /repos before anything was made there. */
export type SeenDisk = {
  /** Its mark; null: it has none. */
  readonly disk: string | null;
  /** The folders that hold something. */
  readonly filled: ReadonlySet<string>;
};

export type DiskVerdict =
  | { readonly kind: 'known' }
  /** All repositories are there, and only what the server keeps beside them is gone: the witness has it, too. */
  | { readonly kind: 'state-lost' }
  /** Somebody has to say that this is what is meant. Names as they are on record, sorted. */
  | {
      readonly kind: 'doubtful';
      readonly other: boolean;
      readonly expected: number;
      readonly missing: readonly string[];
    };

/**
 * Whether /repos is the disk that this server used the last time. A server that never had a repository has nothing to miss. What is
 * gone of the very disk that was there is told by each repository (lost-repository.ts).
 */
export const judgeDisk = (witness: Witness | null, { disk, filled }: SeenDisk): DiskVerdict => {
  const expected = witness?.registry.repositories?.kept ?? [];
  if (witness === null || expected.length === 0 || disk === witness.disk) return { kind: 'known' };
  const missing = expected.filter((name) => !filled.has(name)).sort(compareText);
  if (disk === null && missing.length === 0) return { kind: 'state-lost' };
  return { kind: 'doubtful', other: disk !== null, expected: expected.length, missing };
};

/**
 * The record of a disk, with the numbers that the witness knows of: no name gets the number that another had, and each its own again.
 * What the disk itself says comes first.
 */
export const mergeIdentities = (own: Registry, witness: Registry): Registry => {
  const taken = new Set(Object.values(own.uids));
  const more = Object.entries(witness.uids).filter(([name, uid]) => !Object.hasOwn(own.uids, name) && !taken.has(uid));
  // On an empty disk nothing else tells that a copy of a key file is no account (leftover.ts).
  const leftovers = [...new Set([...(own.leftovers ?? []), ...(witness.leftovers ?? [])])].sort(compareText);
  return {
    ...own,
    highWater: Math.max(own.highWater, witness.highWater),
    uids: Object.fromEntries([...more, ...Object.entries(own.uids)].sort(([a], [b]) => compareText(a, b))),
    roles: [...new Set([...own.roles, ...witness.roles])],
    ...(leftovers.length > 0 && { leftovers }),
  };
};
