import { chownSync } from 'node:fs';
import { isKept } from '../accounts/kept-file.ts';
import type { Owner } from '../accounts/repository-folder.ts';
import { walk } from './walk.ts';

/**
 * Gives everything below a folder to its new owner, links too. What snapshots share only gets the group: it stays root's and read-only, so that the
 * new owner cannot change what the snapshots have of it either. That is why chown(1) -R is of no use here.
 *
 * @param path a folder, best through a descriptor
 * @param signal stops it between two entries
 * @param told called for each entry
 * @throws see walk
 */
export const giveEverything = (path: string, owner: Owner, signal: AbortSignal, told: () => void): Promise<void> =>
  walk(path, signal, (entry, found) => {
    told();
    // One that no snapshot has any more is a file like every other.
    const uid = isKept(found) && found.nlink > 1 ? found.uid : owner.uid;
    if (found.uid !== uid || found.gid !== owner.gid) chownSync(entry, uid, owner.gid);
  });
