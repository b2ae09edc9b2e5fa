import { closeSync, fchmodSync, fchownSync, fstatSync, opendirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { isForeign, type Owner } from '../accounts/repository-folder.ts';
import { failure } from '../failure.ts';
import { openFile, openFolder, openIfThere, pathOfOpen } from '../system/open.ts';

/** After so many entries others get their turn. */
const TURN = 500;
/** How deep folders of a repository are nested at most: borg makes three levels. Each level keeps two files open. */
export const DEEPEST = 100;

/**
 * Gives everything below a folder the modes that its account and the admins need: files `ug+rw`, folders `ug+rwx` with the setgid
 * bit, others nothing. It first opens every file, without following a link, and changes its mode through the descriptor. chmod(1)
 * -R and find(1) -exec follow a link that takes a file's place at the wrong moment, out of /repos.
 *
 * @param path a folder, best through a descriptor
 * @param signal stops it between two entries
 * @param owner gets what is root's, or neither its own nor its group's, and nothing else is changed; but it gets no file with a
 *   second name, which may be somebody else's file
 * @throws the system's error; Error with cause `{ code: 'too-deep', most }`
 */
export const openToAccount = async (path: string, signal: AbortSignal, owner: Owner | null = null): Promise<void> => {
  let entries = 0;
  const inside = async (folder: string, depth: number): Promise<void> => {
    if (depth > DEEPEST) throw failure('its folders are nested too deeply', { code: 'too-deep', most: DEEPEST });
    const listing = opendirSync(folder);
    try {
      for (let entry = listing.readSync(); entry; entry = listing.readSync()) {
        entries += 1;
        if (entries % TURN === 0) await setImmediate();
        signal.throwIfAborted();
        if (!entry.isDirectory() && !entry.isFile()) continue;
        const file = openIfThere(`${folder}/${entry.name}`, entry.isDirectory() ? openFolder : openFile);
        // It was exchanged or removed since it was listed, or is nothing that has a use in a repository (a socket).
        if (file === null) continue;
        try {
          if (owner === null || give(file, owner)) adjust(file);
          if (entry.isDirectory()) await inside(pathOfOpen(file), depth + 1);
        } finally {
          closeSync(file);
        }
      }
    } finally {
      listing.closeSync();
    }
  };
  await inside(path, 1);
};

/** @returns whether it was somebody else's, and is the owner's now */
const give = (file: number, owner: Owner): boolean => {
  const found = fstatSync(file);
  const mayBeGiven = found.isDirectory() || (found.isFile() && found.nlink === 1);
  if (!mayBeGiven || !isForeign(found, owner)) return false;
  fchownSync(file, owner.uid, owner.gid);
  return true;
};

const adjust = (file: number): void => {
  const found = fstatSync(file);
  const mode = found.mode & 0o7777;
  const executable = (mode & 0o111) !== 0 ? 0o110 : 0;
  const wanted = found.isDirectory() ? (mode & 0o1770) | 0o2770 : (mode & 0o770) | 0o660 | executable;
  if (mode !== wanted) fchmodSync(file, wanted);
};
