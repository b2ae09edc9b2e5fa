import { closeSync, constants, type Dirent, openSync, readdirSync } from 'node:fs';
import { errorCode } from '../accounts/error-code.ts';

/**
 * A folder held open, for places where a name may be exchanged for a link between a look and a deed: what is done through
 * `path` (/proc/self/fd/N, see proc(5)) happens in this very folder.
 */
export type FolderHandle = { readonly path: string; readonly entries: () => Dirent[] };

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
      entries: () => readdirSync(handle, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)),
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
