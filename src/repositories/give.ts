import { chownSync } from 'node:fs';
import { isKept } from '../accounts/kept-file.ts';
import type { Owner } from '../accounts/repository-folder.ts';
import { walk } from './walk.ts';

/**
 * Gives everything below a folder to its new owner, links too. What snapshots share only gets the group: it stays root's and read-only, so that the
 * new owner cannot change what the snapshots have of it either. That is why chown(1) -R is of no use here. The number of its names says nothing: its
 * account may just have removed one of them.
 *
 * @param path a folder, best through a descriptor
 * @param former the group that the folder had. What snapshots share with another one is another account's, and keeps that
 * @param signal stops it between two entries
 * @param told called for each entry
 * @throws see walk
 */
export const giveEverything = (
  path: string,
  owner: Owner,
  former: number,
  signal: AbortSignal,
  told: () => void,
): Promise<void> =>
  walk(path, signal, (entry, found) => {
    told();
    if (isKept(found)) {
      // With one name it is in no other account's folder.
      const isOurs = found.gid === former || found.nlink === 1;
      if (isOurs && found.gid !== owner.gid) chownSync(entry, found.uid, owner.gid);
    } else if (found.uid !== owner.uid || found.gid !== owner.gid) chownSync(entry, owner.uid, owner.gid);
  });
