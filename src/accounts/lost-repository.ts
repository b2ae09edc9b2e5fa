import { compareText } from '../text/order.ts';
import { errorAt, type Finding } from './finding.ts';
import { isNobodys } from './nobodys.ts';
import type { RepositoryFolder } from './repository-folder.ts';

/** What is remembered of the repositories themselves. Names, sorted. */
export type KnownRepositories = {
  /** Their folders held something when the server last looked. */
  readonly kept: readonly string[];
  /** Their folders held something, and then were gone while their account was still declared. They stay here until the operator confirms the loss. */
  readonly lost: readonly string[];
};

export const NO_REPOSITORIES: KnownRepositories = { kept: [], lost: [] };

type Seen = {
  readonly folders: readonly RepositoryFolder[];
  /** The repository accounts that the key tree declares. */
  readonly declared: ReadonlySet<string>;
  /** All of the key tree could be read: an account that is not declared does not exist. */
  readonly isWhole: boolean;
  /** Losses that the operator has confirmed. */
  readonly confirmed?: ReadonlySet<string> | undefined;
};

/**
 * Remembers which repositories there are, so that a loss is noticed. It is no loss if a folder never held anything, if the key file
 * was removed too, or if the client deleted its repository itself: then the folder is still there. An empty folder of root's in the
 * place of a repository is the mount point of a missing disk. What a file system or a NAS keeps there for itself is no repository,
 * even if an earlier record has it: it lies on every disk. It would be missed for nothing, or hide that the repositories are missing.
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

/** It grants nothing and closes nothing: the account may go on, and the person who restores the data decides when. */
export const lostRepository = (name: string): Finding =>
  errorAt(
    `/repos/${name}`,
    'repository-lost',
    'a repository was here, and its folder was gone; in its place is a new one, empty at first',
    `put the old one back (is a disk not mounted?), or let it begin anew; then: update-borgusers --confirm ${name}`,
  );
