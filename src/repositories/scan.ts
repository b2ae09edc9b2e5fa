import { lstatSync, opendirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RepositoryFolder } from '../accounts/repository-folder.ts';

/**
 * Lists what is directly below /repos, without following a link. Dotfiles are the server's or an editor's.
 *
 * @param known folders that are listed as before, if something of their name is there
 * @throws the system's error where /repos cannot be read: without the owners a pass must not go on
 */
export const scanRepositories = (
  repos: string,
  known?: ReadonlyMap<string, RepositoryFolder>,
): readonly RepositoryFolder[] =>
  readdirSync(repos)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .flatMap((name) => {
      const as = known?.get(name);
      if (as) return [as];
      const found = lstatSync(join(repos, name), { throwIfNoEntry: false });
      if (!found) return [];
      const kind = found.isDirectory() ? 'folder' : 'other';
      const filled = kind === 'folder' && (found.nlink > 2 || holdsSomething(join(repos, name)));
      const changed = Math.max(found.mtimeMs, found.ctimeMs);
      return [{ name, kind, uid: found.uid, gid: found.gid, mode: found.mode & 0o7777, filled, changed }];
    });

/** Most file systems count the folders in a folder as its links, and every repository has one: then nothing is opened. */
const holdsSomething = (path: string): boolean => {
  try {
    const folder = opendirSync(path);
    try {
      return folder.readSync() !== null;
    } finally {
      folder.closeSync();
    }
  } catch {
    // A folder that cannot be read was not seen empty.
    return true;
  }
};
