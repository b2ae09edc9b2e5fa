import { chownSync, closeSync, fchmodSync, fchownSync, fstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Preparation } from '../accounts/desired.ts';
import { type Owner, REPOSITORY_MODE } from '../accounts/repository-folder.ts';
import { failure } from '../failure.ts';
import { errorCode } from '../system/errno.ts';
import { openFolder, pathForPrograms, pathOfOpen } from '../system/open.ts';
import { removeExtendedRights } from './extended-rights.ts';
import { giveEverything } from './give.ts';
import { openToAccount } from './modes.ts';

const TOLD_EVERY = 1000;

/** What is handed over: a name directly below /repos. */
type Handing = Pick<Preparation, 'uid' | 'gid' | 'action'> & { readonly name: string };

/** Called now and then while a large folder is handed over, with the number of files and folders done so far. */
export type Progress = (name: string, entries: number) => void;

/**
 * Makes a repository folder its account's: NAME:NAME 2770, and closed to everybody during the work.
 *
 * The order is chown, then chmod. Without CAP_FSETID chmod drops the setgid bit of a foreign group and reports success,
 * so the mode is read again.
 *
 * @param signal stops an adoption between two files; the next preparation goes on with it
 * @throws the system's error, execa's, what walk and removeExtendedRights throw, or one with cause `{ code: 'setgid-dropped' | 'name-taken', path }`
 */
export const prepareRepository = async (
  repos: string,
  preparation: Handing & Pick<Preparation, 'asMounted'>,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> => {
  const path = join(repos, preparation.name);
  if (preparation.action === 'create') {
    make(repos, preparation.name);
    if (preparation.asMounted) return tryToChown(path, preparation);
  }
  // The former owner may replace the folder by a link during the work: everything is done to this very folder.
  const folder = openFolder(path);
  try {
    if (preparation.action === 'repair-owners') return await handOverInside(folder, preparation, signal);
    if (preparation.action === 'create') fchownSync(folder, preparation.uid, ownerOf(preparation).gid);
    else await handOver(folder, preparation, progress, signal);
    fchmodSync(folder, REPOSITORY_MODE);
    if ((fstatSync(folder).mode & 0o7777) !== REPOSITORY_MODE) {
      throw failure('the setgid bit was dropped: the server needs the capability FSETID', {
        code: 'setgid-dropped',
        path,
      });
    }
  } finally {
    closeSync(folder);
  }
};

const ownerOf = ({ uid, gid }: Handing): Owner => ({ uid, gid: gid ?? uid });

/** The mount says who owns it, and the start has tried that the accounts may write there. */
const tryToChown = (path: string, preparation: Handing): void => {
  try {
    chownSync(path, preparation.uid, ownerOf(preparation).gid);
  } catch {
    // As expected.
  }
};

/** Where upper and lower case are the same, two accounts must not get one folder: the account that had it first keeps it. */
const make = (repos: string, name: string): void => {
  const path = join(repos, name);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST' || readdirSync(repos).includes(name)) throw error;
    throw failure('another spelling of this name is there, and the file system does not tell the two apart', {
      code: 'name-taken',
      path,
    });
  }
};

/**
 * The owners first: whoever has a file may give others rights in it again (an ACL). The top folder is given last, and its mode set at the very end:
 * so the next pass recognises an adoption that was interrupted anywhere.
 */
const handOver = async (folder: number, handing: Handing, progress: Progress, signal: AbortSignal): Promise<void> => {
  const [owner, former] = [ownerOf(handing), fstatSync(folder)];
  // Nobody comes in meanwhile: its owner could change the mode again.
  if (former.uid !== owner.uid) fchownSync(folder, 0, former.gid);
  fchmodSync(folder, 0o700);
  if (handing.action === 'adopt') {
    let entries = 0;
    await giveEverything(pathOfOpen(folder), owner, former.gid, signal, () => {
      entries += 1;
      if (entries % TOLD_EVERY === 0) progress(handing.name, entries);
    });
  }
  // Before the modes: a mode that opens a file to its group opens it to all whom an ACL names.
  await removeExtendedRights(pathForPrograms(folder), signal);
  await openToAccount(pathOfOpen(folder), signal);
  if (handing.action === 'adopt') fchownSync(folder, owner.uid, owner.gid);
};

/**
 * Hands over what is not the account's inside a folder that is. Its sessions go on meanwhile: only the owner and mode of such an entry
 * change, each through its own descriptor.
 */
const handOverInside = async (folder: number, preparation: Handing, signal: AbortSignal): Promise<void> => {
  await removeExtendedRights(pathForPrograms(folder), signal);
  await openToAccount(pathOfOpen(folder), signal, ownerOf(preparation));
};
