import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { DEEPEST } from './depth.ts';
import { isRepository } from './is-repository.ts';
import { foldersAmong, lookBelow } from './look-below.ts';

export type FoundRepositories = {
  /** Paths below root, sorted in each folder. */
  readonly paths: readonly string[];
  /** Folders of root that hold more than is looked at. */
  readonly leftOut: readonly string[];
};

/** How many entries are looked at below one folder of root: its account can fill it without end. */
const MOST_ENTRIES = 20_000;

/**
 * Every repository for `all`: the folders of root that are one, and the repositories below those that are none. No link is
 * followed, even if one replaces a folder meanwhile. A folder that cannot be read is in the list too, so that borg says why.
 *
 * @throws the system's error where root itself cannot be read
 */
export const findRepositories = (root: string): FoundRepositories => {
  const leftOut: string[] = [];
  const paths = inFolder(root, (folder) =>
    foldersAmong(folder.someEntries(Infinity))
      .toSorted()
      .flatMap((name) => {
        const { found, isWhole } = findBelow(folder, name);
        if (!isWhole) leftOut.push(name);
        return found;
      }),
  );
  return { paths: paths ?? [], leftOut };
};

/**
 * The same for one folder of root.
 *
 * @throws the system's error where root cannot be read
 */
export const findRepositoriesOf = (root: string, name: string): FoundRepositories => {
  const below = inFolder(root, (folder) => findBelow(folder, name));
  return { paths: below?.found ?? [], leftOut: below?.isWhole === false ? [name] : [] };
};

/** A client may just be deleting some of it. */
const findBelow = (root: FolderHandle, top: string): { readonly found: string[]; readonly isWhole: boolean } => {
  let left = MOST_ENTRIES;
  const into = (folder: FolderHandle): readonly string[] => {
    if (left <= 0) return [];
    const entries = folder.someEntries(left);
    left -= entries.length;
    return foldersAmong(entries).toSorted();
  };
  const found = lookBelow(
    root,
    [top],
    DEEPEST + 1,
    (folder, path) => (isRepository(folder) ? { found: [path] } : { into: () => into(folder) }),
    (path) => path,
  );
  return { found, isWhole: left > 0 };
};
