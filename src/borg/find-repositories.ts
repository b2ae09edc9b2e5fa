import { join } from 'node:path';
import { isNobodys } from '../accounts/nobodys.ts';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { DEEPEST } from './depth.ts';
import { isRepository } from './is-repository.ts';

export type FoundRepositories = {
  /** Paths below root, sorted in each folder. */
  readonly paths: readonly string[];
  /** Folders of root in which more was found than is looked at. */
  readonly leftOut: readonly string[];
};

/** How many entries are looked at below one folder of root: its account can fill it without end. */
const MOST_ENTRIES = 20_000;

/**
 * Every repository for `all`: the folders of root that are one, and what lies below those that are none. No link is followed, also
 * not where one takes the place of a folder meanwhile. A folder that cannot be read is among them, so that borg says why.
 *
 * @throws the system's error where root itself cannot be read
 */
export const findRepositories = (root: string): FoundRepositories => {
  const leftOut: string[] = [];
  const each = (name: string): readonly string[] => {
    const room = { left: MOST_ENTRIES };
    const found = below(join(root, name), DEEPEST, room).map((path) => join(name, path));
    if (room.left <= 0) leftOut.push(name);
    return found;
  };
  const names = inFolder(root, (folder) => foldersIn(folder, Infinity).sort()) ?? [];
  return { paths: names.flatMap(each), leftOut };
};

/** '' for the folder itself. A client may just be deleting it. */
const below = (path: string, deeper: number, room: { left: number }): readonly string[] => {
  try {
    return (
      inFolder(path, (folder) => {
        if (isRepository(folder)) return [''];
        if (deeper === 0 || room.left <= 0) return [];
        return foldersIn(folder, room.left, room)
          .sort()
          .flatMap((name) => below(join(folder.path, name), deeper - 1, room).map((each) => join(name, each)));
      }) ?? []
    );
  } catch {
    return [''];
  }
};

const foldersIn = (folder: FolderHandle, most: number, room = { left: 0 }): string[] => {
  const entries = folder.someEntries(most);
  room.left -= entries.length;
  return entries.flatMap((entry) => (entry.isDirectory() && !isNobodys(entry.name, 'folder') ? [entry.name] : []));
};
