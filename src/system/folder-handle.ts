import { type Dirent, opendirSync } from 'node:fs';
import { closing, openFolder, openIfThere, pathOfOpen } from './open.ts';

/**
 * A folder that is held open. It is for places where somebody may exchange a name for a link between a look and an action: what is done through
 * `path` happens in this very folder.
 */
export type FolderHandle = {
  readonly path: string;
  /** The first `most` entries that the system tells of, in no order. No more are read: somebody may fill a folder without end. */
  readonly someEntries: (most: number) => Dirent[];
  /** The same one by one, and none is kept in memory. */
  readonly eachEntry: (most: number) => Iterable<Dirent>;
};

/**
 * Lets `use` work in the folder at `path`, whose last component must be a folder and no link.
 *
 * @returns null where it is not
 * @throws the system's error of any other kind, or what `use` throws
 */
export const inFolder = <T>(path: string, use: (folder: FolderHandle) => T): T | null => {
  const file = openIfThere(path, openFolder);
  return file === null ? null : closing(file, () => use(handleOf(pathOfOpen(file))));
};

const handleOf = (path: string): FolderHandle => ({
  path,
  someEntries: (most) => [...firstEntries(path, most)],
  eachEntry: (most) => firstEntries(path, most),
});

function* firstEntries(path: string, most: number): Generator<Dirent> {
  const folder = opendirSync(path);
  try {
    for (let left = most; left > 0; left -= 1) {
      const entry = folder.readSync();
      if (!entry) break;
      yield entry;
    }
  } finally {
    folder.closeSync();
  }
}
