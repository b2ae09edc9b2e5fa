import { chmodSync, chownSync, lstatSync, mkdtempSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY_MODE } from '../accounts/repository-folder.ts';
import { errorCode } from '../system/errno.ts';

/** What happened to a folder that was handed to somebody. */
export type OwnerProbe =
  /** The owner has it. `madeAt`: by the clock of the file system, milliseconds since the epoch. */
  | { readonly kind: 'kept'; readonly madeAt: number }
  /** The file system says no (errno(3)). */
  | { readonly kind: 'refused'; readonly code: string }
  /** The file system says yes and does nothing. */
  | { readonly kind: 'ignored' }
  /** The owner has it, but new files in it will not have its group. */
  | { readonly kind: 'setgid-dropped' };

/**
 * Makes a folder as for a repository, hands it to `owner`, looks, and removes it. If the owner has it from the beginning, as on a
 * mount that gives everything to one user, it is handed to root instead: only a change shows that owners can be changed.
 *
 * @param folder where it is made
 * @throws the system's error where it cannot be made
 */
export const probeOwners = (folder: string, owner: { readonly uid: number; readonly gid: number }): OwnerProbe => {
  const probe = mkdtempSync(join(folder, 'probe-'));
  try {
    const made = lstatSync(probe);
    const wanted = made.uid === owner.uid && made.gid === owner.gid ? { uid: 0, gid: 0 } : owner;
    chownSync(probe, wanted.uid, wanted.gid);
    chmodSync(probe, REPOSITORY_MODE);
    const found = lstatSync(probe);
    if (found.uid !== wanted.uid || found.gid !== wanted.gid) return { kind: 'ignored' };
    return (found.mode & 0o7777) === REPOSITORY_MODE
      ? { kind: 'kept', madeAt: found.mtimeMs }
      : { kind: 'setgid-dropped' };
  } catch (error) {
    return { kind: 'refused', code: errorCode(error) ?? String(error) };
  } finally {
    rmdirSync(probe);
  }
};
