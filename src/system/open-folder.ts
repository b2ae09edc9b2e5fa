import { closeSync, constants, type Dirent, opendirSync, openSync } from 'node:fs';
import { errorCode } from './errno.ts';

/**
 * A folder held open, for places where a name may be exchanged for a link between a look and a deed: what is done through
 * `path` (/proc/self/fd/N, see proc(5)) happens in this very folder.
 */
export type FolderHandle = {
  readonly path: string;
  /** The first so many that the system tells of, in no order; no more are read, since somebody may fill a folder without end. */
  readonly someEntries: (most: number) => Dirent[];
  /** The same one by one, of which none is held. */
  readonly eachEntry: (most: number) => Iterable<Dirent>;
};

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const NOT_THERE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/**
 * Lets `use` work in the folder at `path`, whose last component must be a folder and no link.
 *
 * @returns null where it is not
 * @throws the system's error of any other kind, or what `use` throws
 */
export const inFolder = <T>(path: string, use: (folder: FolderHandle) => T): T | null => {
  const file = openFolder(path);
  if (file === null) return null;
  const handle = `/proc/self/fd/${file}`;
  try {
    return use({
      path: handle,
      someEntries: (most) => [...firstEntries(handle, most)],
      eachEntry: (most) => firstEntries(handle, most),
    });
  } finally {
    closeSync(file);
  }
};

const openFolder = (path: string): number | null => {
  try {
    return openSync(path, FOLDER);
  } catch (error) {
    if (NOT_THERE.has(errorCode(error))) return null;
    throw error;
  }
};

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
