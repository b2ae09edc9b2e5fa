import { chmodSync, chownSync, type Stats } from 'node:fs';
import { isKept } from '../accounts/kept-file.ts';
import { isForeign, type Owner } from '../accounts/repository-folder.ts';
import { walk } from './walk.ts';

/**
 * Gives everything below a folder the modes that its account and the admins need: files `ug+rw`, folders `ug+rwx` with the setgid bit, others
 * nothing. chmod(1) -R and find(1) -exec follow a link that takes a file's place at the wrong moment, out of /repos.
 *
 * What snapshots share stays read-only (kept-file.ts).
 *
 * @param path a folder, best through a descriptor
 * @param signal stops it between two entries
 * @param owner gets what is root's, or neither its own nor its group's, and nothing else is changed; but it gets no file with a
 *   second name, which may be somebody else's file
 * @throws see walk
 */
export const openToAccount = (path: string, signal: AbortSignal, owner: Owner | null = null): Promise<void> =>
  walk(path, signal, (entry, found) => {
    if ((!found.isDirectory() && !found.isFile()) || isKept(found)) return;
    if (owner !== null) {
      const mayBeGiven = found.isDirectory() || found.nlink === 1;
      if (!mayBeGiven || !isForeign(found, owner)) return;
      chownSync(entry, owner.uid, owner.gid);
    }
    adjust(entry, found);
  });

const adjust = (entry: string, found: Stats): void => {
  const mode = found.mode & 0o7777;
  const executable = (mode & 0o111) !== 0 ? 0o110 : 0;
  const wanted = found.isDirectory() ? (mode & 0o1770) | 0o2770 : (mode & 0o770) | 0o660 | executable;
  if (mode !== wanted) chmodSync(entry, wanted);
};
