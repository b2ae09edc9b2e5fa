import { constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { dirname, sep } from 'node:path';
import { closing, pathOfOpen } from '../system/open.ts';

/** Names one folder for as long as it exists. */
export const identityOf = ({ dev, ino }: Stats): string => `${dev}:${ino}`;

/**
 * Holds a folder open while it is read: by its name, one that is moved away and back meanwhile would seem to have lost files.
 *
 * @param read gets a path that leads to this very folder wherever it is by then, and its identity
 * @throws the system's error where it cannot be opened, or what `read` throws
 */
export const inOpenFolder = <T>(folder: string, read: (handle: string, identity: string) => T): T => {
  // A link is followed: the key tree itself may be one.
  const file = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return closing(file, () => read(pathOfOpen(file), identityOf(fstatSync(file))));
};

/**
 * What a path is called inside the folder of this identity; null: it is not inside; 'moved': one of its folders has another name by
 * now. The folder is told by its identity: to compare its own path before and after would not show that it was away in between.
 */
export const pathInside = (path: string, identity: string): `/${string}` | null | 'moved' => {
  // A pipe or a socket has no path.
  if (!path.startsWith(sep)) return null;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const seen = statSync(folder, { throwIfNoEntry: false });
    if (!seen) return 'moved';
    if (identityOf(seen) === identity) return `/${path.slice(folder === sep ? 1 : folder.length + 1)}`;
    if (folder === sep) return null;
  }
};
