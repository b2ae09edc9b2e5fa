import { compareText } from '../text/order.ts';
import type { Registry } from './identity.ts';

/** What is kept beside the key tree about the disk of /repos. If the disk is missing, all that lies on it is missing too, but this is still there. */
export type Witness = {
  /** The mark of that disk. The server has put it there. */
  readonly disk: string;
  readonly registry: Registry;
};

/** What is in /repos before the server makes anything there. */
export type SeenDisk = {
  /** Its mark; null: it has none. */
  readonly disk: string | null;
  /** The folders that hold something. */
  readonly filled: ReadonlySet<string>;
};

export type DiskVerdict =
  | { readonly kind: 'known' }
  /** All repositories are there. Only what the server keeps beside them is gone, and the witness has a copy of it. */
  | { readonly kind: 'state-lost' }
  /** Somebody has to say that this is meant. Names as they are on record, sorted. */
  | {
      readonly kind: 'doubtful';
      readonly other: boolean;
      readonly expected: number;
      readonly missing: readonly string[];
    };

/**
 * Whether /repos is the disk that this server used last time. A server that never had a repository cannot miss anything. If
 * something is gone from the right disk, each lost repository tells it (lost-repository.ts).
 */
export const judgeDisk = (witness: Witness | null, { disk, filled }: SeenDisk): DiskVerdict => {
  const expected = witness?.registry.repositories?.kept ?? [];
  if (witness === null || expected.length === 0 || disk === witness.disk) return { kind: 'known' };
  const missing = expected.filter((name) => !filled.has(name)).sort(compareText);
  if (disk === null && missing.length === 0) return { kind: 'state-lost' };
  return { kind: 'doubtful', other: disk !== null, expected: expected.length, missing };
};

/**
 * The record of a disk, with the numbers that the witness knows: no name gets a number that another had, and each gets its own again.
 * What the disk itself says comes first.
 */
export const mergeIdentities = (own: Registry, witness: Registry): Registry => {
  const taken = new Set(Object.values(own.uids));
  const more = Object.entries(witness.uids).filter(([name, uid]) => !Object.hasOwn(own.uids, name) && !taken.has(uid));
  // On an empty disk nothing else says that a copy of a key file is no account (leftover.ts).
  const leftovers = [...new Set([...(own.leftovers ?? []), ...(witness.leftovers ?? [])])].sort(compareText);
  return {
    ...own,
    highWater: Math.max(own.highWater, witness.highWater),
    uids: Object.fromEntries([...more, ...Object.entries(own.uids)].sort(([a], [b]) => compareText(a, b))),
    roles: [...new Set([...own.roles, ...witness.roles])],
    ...(leftovers.length > 0 && { leftovers }),
  };
};
