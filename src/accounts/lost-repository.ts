import { compareText } from '../text/order.ts';
import { errorAt, type Finding } from './finding.ts';
import { isNobodys } from './nobodys.ts';
import type { RepositoryFolder } from './repository-folder.ts';

/** What is remembered of the repositories themselves. Names, sorted. */
export type KnownRepositories = {
  /** Their folders held something when they were last looked at. */
  readonly kept: readonly string[];
  /** They did, and then were gone while their account was still declared; until the operator confirms it. */
  readonly lost: readonly string[];
};

export const NO_REPOSITORIES: KnownRepositories = { kept: [], lost: [] };

type Seen = {
  readonly folders: readonly RepositoryFolder[];
  /** The repository accounts that the key tree declares. */
  readonly declared: ReadonlySet<string>;
  /** All of the key tree could be read: who is not declared is nobody. */
  readonly isWhole: boolean;
  /** Losses that the operator knows of. */
  readonly confirmed?: ReadonlySet<string> | undefined;
};

/**
 * Remembers which repositories there are, so that one that is gone is noticed. A folder that never held anything is no loss, nor
 * one whose key file was removed, too, nor what its client has deleted itself: then the folder is there. An empty folder of
 * root's in the place of a repository is the mount point of a disk that is missing. What a file system or a NAS keeps there for itself
 * is none, also where an earlier record has it: it lies on every disk, and would be missed or hide that the repositories are.
 *
 * @returns the same object where nothing has changed
 */
export const trackRepositories = (known: KnownRepositories, seen: Seen): KnownRepositories => {
  const { folders, declared, isWhole, confirmed } = seen;
  const kept = new Set(known.kept.filter((name) => !isNobodys(name, 'folder')));
  const lost = new Set(known.lost);
  const present = new Set<string>();
  for (const { name, kind, filled, uid } of folders) {
    if (isNobodys(name, kind)) continue;
    if (filled === false && uid === 0 && kept.has(name)) continue;
    present.add(name);
    if (filled) kept.add(name);
    if (filled === false) kept.delete(name);
  }
  for (const name of known.kept) {
    if (present.has(name)) continue;
    if (declared.has(name)) lost.add(name);
    if (declared.has(name) || isWhole) kept.delete(name);
  }
  for (const name of known.lost) if (confirmed?.has(name) || (isWhole && !declared.has(name))) lost.delete(name);
  const isSame = sameNames(kept, known.kept) && sameNames(lost, known.lost);
  return isSame ? known : { kept: [...kept].sort(compareText), lost: [...lost].sort(compareText) };
};

const sameNames = (names: ReadonlySet<string>, list: readonly string[]): boolean =>
  names.size === list.length && list.every((name) => names.has(name));

/** It grants and closes nothing: the account may go on, and whoever restores the data decides when. */
export const lostRepository = (name: string): Finding =>
  errorAt(
    `/repos/${name}`,
    'repository-lost',
    'a repository was here, and its folder was gone; in its place is a new one, empty at first',
    `put the old one back (is a disk not mounted?), or let it begin anew; then: update-borgusers --confirm ${name}`,
  );
