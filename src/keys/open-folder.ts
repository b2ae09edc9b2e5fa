import { type BigIntStats, constants, fstatSync, openSync, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { closing, pathOfOpen } from '../system/open.ts';

/** Names one folder for as long as it exists. In full: some file systems have numbers that are equal as JavaScript's floating-point numbers. */
export const identityOf = ({ dev, ino }: BigIntStats): string => `${dev}:${ino}`;

/**
 * Holds a folder open while it is read. Read by its name, a folder that is moved away and back meanwhile would seem to have lost files.
 *
 * @param read gets a path that leads to this very folder wherever it is by then, and its identity
 * @throws the system's error where it cannot be opened, or what `read` throws
 */
export const inOpenFolder = <T>(folder: string, read: (handle: string, identity: string) => T): T => {
  // A link is followed: the key tree itself may be one.
  const file = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return closing(file, () => read(pathOfOpen(file), identityOf(fstatSync(file, { bigint: true }))));
};

/**
 * The path's name inside the folder with this identity. Null: it is not inside. 'moved': one of its folders has another name by
 * now. The folder is known by its identity: its own path before and after would be equal, even if it was away in between.
 */
export const pathInside = (path: string, identity: string): `/${string}` | null | 'moved' => {
  // A pipe or a socket has no path.
  if (!path.startsWith(sep)) return null;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const seen = statSync(folder, { bigint: true, throwIfNoEntry: false });
    if (!seen) return 'moved';
    if (identityOf(seen) === identity) return `/${path.slice(folder === sep ? 1 : folder.length + 1)}`;
    if (folder === sep) return null;
  }
};
