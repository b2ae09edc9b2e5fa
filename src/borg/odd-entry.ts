import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';

/** Something in a repository that borg would wait for without end, or could not use. */
export type OddEntry = { /** Below the repository; hostile text. */ readonly path: string; readonly kind: string };

/** Enough for a repository of some 50 TB. The rest is not looked at. */
const MOST_ENTRIES = 100_000;

/**
 * Looks for something in a repository that is neither file, folder nor link: opening a pipe waits until somebody writes to it.
 *
 * @param deep also among its data: two files for each GB
 * @returns the first one; null where there is none, and where the folder cannot be read: borg says more about that
 */
export const findOddEntry = (path: string, deep: boolean): OddEntry | null => {
  try {
    return inFolder(path, (folder) => oddIn(folder, deep ? ['data'] : [], { left: MOST_ENTRIES }));
  } catch {
    return null;
  }
};

/** @param inside the folders to go into: of those below `data`, all */
const oddIn = (folder: FolderHandle, inside: readonly string[] | 'all', room: { left: number }): OddEntry | null => {
  const folders: string[] = [];
  for (const entry of folder.eachEntry(room.left)) {
    room.left -= 1;
    const kind = kindOf(entry);
    if (kind !== null) return { path: entry.name, kind };
    if (entry.isDirectory() && (inside === 'all' || inside.includes(entry.name))) folders.push(entry.name);
  }
  for (const name of folders) {
    const found = inFolder(join(folder.path, name), (part) => oddIn(part, inside === 'all' ? [] : 'all', room));
    if (found) return { ...found, path: join(name, found.path) };
  }
  return null;
};

const kindOf = (entry: Dirent): string | null => {
  if (entry.isFIFO()) return 'a pipe';
  if (entry.isSocket()) return 'a socket';
  return entry.isBlockDevice() || entry.isCharacterDevice() ? 'a device' : null;
};
