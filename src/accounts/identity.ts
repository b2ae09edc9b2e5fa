import { compareText } from '../text/order.ts';
import type { KnownRepositories } from './lost-repository.ts';
import type { AccountName } from './name.ts';
import type { RepositoryFolder } from './repository-folder.ts';
import type { Role } from './role.ts';

/**
 * What the server remembers from one container to the next, in /repos/.borgserver/. The owners of the folders are the truth. This only decides
 * where they cannot.
 */
export type Registry = {
  /** The highest uid ever given. No number is used twice while there are unused ones. */
  readonly highWater: number;
  /** The uid of each name. It is needed for folders that were copied (two with one owner), and for those that are gone while the key file is not. */
  readonly uids: Readonly<Record<string, number>>;
  /** The roles that had accounts in the last pass. If the folder of such a role is missing, a mount is missing. */
  readonly roles: readonly Role[];
  /** Which repositories there are. If left out, none is known. */
  readonly repositories?: KnownRepositories | undefined;
  /** Names of key files that were leftovers of another file and are still there. If left out: none. */
  readonly leftovers?: readonly string[] | undefined;
};

export type UidRange = { readonly first: number; readonly last: number };

/** The setting IDENTITIES: each repository account has a uid of its own, or all of them have the uid of the admins. */
export const IDENTITIES = ['own', 'shared'] as const;

/** Who owns the repository folders. */
export type IdentityPolicy =
  | { readonly kind: 'own' }
  | {
      /** Every folder belongs to PUID:PGID. Only borg's restriction keeps an account out of the other folders. */
      readonly kind: 'shared';
      readonly pgid: number;
      /** Whether the file system of /repos keeps owners and modes. Where it does not, there is nothing to repair. */
      readonly keepsOwners: boolean;
    };

export type Identities = {
  readonly uids: ReadonlyMap<AccountName, number>;
  /** Names for which no number is left. */
  readonly without: readonly AccountName[];
  readonly registry: Pick<Registry, 'highWater' | 'uids'>;
};

/**
 * Gives every repository account its uid. The owner of a folder is the uid of its account, as long as the number lies in the
 * range, is not the machine's own, and no other folder has the better claim. Otherwise the account gets the number that is
 * remembered for its name, or a fresh one. The order of the input does not matter.
 *
 * @param taken uids and gids that the machine's own accounts and groups have
 */
export const assignIdentities = (
  names: readonly AccountName[],
  folders: readonly RepositoryFolder[],
  registry: Pick<Registry, 'highWater' | 'uids'>,
  range: UidRange,
  taken: ReadonlySet<number>,
): Identities => {
  const usable = (uid: number | undefined): uid is number =>
    uid !== undefined && Number.isInteger(uid) && uid >= range.first && uid <= range.last && !taken.has(uid);

  const remembered = new Map(Object.entries(registry.uids));
  const uidOf = new Map<string, number>();
  const ownerOf = new Map<number, string>();
  const claim = (name: string, uid: number): void => {
    uidOf.set(name, uid);
    ownerOf.set(uid, name);
  };

  // Folders first, with or without an account: an owner that is on disk must never become the number of somebody else. If two
  // folders have one owner (a copy), the folder that had the number before keeps it; else the first by name.
  const owned = folders.filter((folder) => folder.kind === 'folder' && usable(folder.uid));
  const byClaim = owned.sort(
    (a, b) =>
      Number(remembered.get(b.name) === b.uid) - Number(remembered.get(a.name) === a.uid) ||
      compareText(a.name, b.name),
  );
  for (const folder of byClaim) if (!ownerOf.has(folder.uid)) claim(folder.name, folder.uid);

  const sorted = [...names].sort(compareText);
  for (const name of sorted) {
    const uid = remembered.get(name);
    if (!uidOf.has(name) && usable(uid) && !ownerOf.has(uid)) claim(name, uid);
  }

  let highWater = Math.max(
    registry.highWater,
    range.first - 1,
    ...lastOf(ownerOf.keys()),
    ...lastOf([...remembered.values()].filter(usable)),
  );
  let gap = range.first;
  const fresh = (): number | null => {
    while (highWater < range.last) {
      highWater += 1;
      if (usable(highWater) && !ownerOf.has(highWater)) return highWater;
    }
    for (; gap <= range.last; gap += 1) if (usable(gap) && !ownerOf.has(gap)) return gap;
    return null;
  };

  const without: AccountName[] = [];
  for (const name of sorted) {
    if (uidOf.has(name)) continue;
    const uid = fresh();
    if (uid === null) without.push(name);
    else claim(name, uid);
  }

  return {
    uids: new Map(sorted.flatMap((name) => pair(name, uidOf.get(name)))),
    without,
    registry: { highWater, uids: Object.fromEntries([...uidOf].sort(([a], [b]) => compareText(a, b))) },
  };
};

/**
 * The same where all share one uid. What is remembered stays as it is: it is needed if accounts get their own uids again.
 */
export const shareIdentity = (
  names: readonly AccountName[],
  registry: Pick<Registry, 'highWater' | 'uids'>,
  uid: number,
): Identities => ({
  uids: new Map([...names].sort(compareText).map((name) => [name, uid])),
  without: [],
  registry: { highWater: registry.highWater, uids: registry.uids },
});

const pair = (name: AccountName, uid: number | undefined): [AccountName, number][] =>
  uid === undefined ? [] : [[name, uid]];

/** The largest, or nothing. Spreading 60,000 numbers into Math.max would overflow the stack. */
const lastOf = (numbers: Iterable<number>): number[] => {
  let last = -Infinity;
  for (const number of numbers) last = Math.max(last, number);
  return last === -Infinity ? [] : [last];
};
