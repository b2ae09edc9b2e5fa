import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { isNobodys } from '../accounts/nobodys.ts';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';

/** What is found in a folder, and which of its folders are looked into next: asked for only where that is not too deep. */
export type Looked<T> = {
  readonly found?: readonly T[];
  readonly into?: () => Iterable<string>;
};

/**
 * Looks into folders of a folder, and into folders of these, each held open meanwhile: no link is followed, also not where one takes
 * the place of a folder. Who looks says how much: an account can fill its folder without end.
 *
 * @param levels how many levels are looked into
 * @param look gets the path below the first folder, too
 * @param unreadable what counts as found of a folder that cannot be read; left out: its error is thrown
 */
export const lookBelow = <T>(
  folder: FolderHandle,
  names: Iterable<string>,
  levels: number,
  look: (inside: FolderHandle, path: string) => Looked<T>,
  unreadable?: (path: string) => T,
): T[] => {
  const lookInto = (above: FolderHandle, some: Iterable<string>, path: string, left: number): T[] => {
    const all: T[] = [];
    for (const name of some) {
      const below = join(path, name);
      try {
        const found = inFolder(join(above.path, name), (inside): readonly T[] => {
          const looked = look(inside, below);
          const deeper = looked.into && left > 1 ? lookInto(inside, looked.into(), below, left - 1) : [];
          return [...(looked.found ?? []), ...deeper];
        });
        all.push(...(found ?? []));
      } catch (error) {
        if (!unreadable) throw error;
        all.push(unreadable(below));
      }
    }
    return all;
  };
  return lookInto(folder, names, '', levels);
};

/** The folders among entries in which a repository may lie. */
export const foldersAmong = (entries: readonly Dirent[]): readonly string[] =>
  entries.flatMap((entry) => (entry.isDirectory() && !isNobodys(entry.name, 'folder') ? [entry.name] : []));
