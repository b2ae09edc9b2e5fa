import { chownSync, closeSync, fchmodSync, fchownSync, fstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Preparation } from '../accounts/desired.ts';
import { REPOSITORY_MODE } from '../accounts/repository-folder.ts';
import { failure } from '../failure.ts';
import { errorCode } from '../system/errno.ts';
import { openFolder, pathForPrograms } from '../system/open.ts';
import { removeExtendedRights } from './extended-rights.ts';
import { openToAccount } from './modes.ts';

const TOLD_EVERY = 1000;
const NEWLINE = 10;

/** Called now and then while a large folder is handed over, with the number of files and folders done so far. */
export type Progress = (name: string, entries: number) => void;

/**
 * Makes a repository folder its account's: NAME:NAME 2770, and closed to everybody during the work.
 *
 * The order is chown, then chmod. Without CAP_FSETID chmod drops the setgid bit of a foreign group and reports success,
 * so the mode is read again.
 *
 * @param signal stops an adoption between two files; the next preparation goes on with it
 * @throws the system's error, execa's, or one with cause `{ code: 'setgid-dropped' | 'name-taken', path }`
 */
export const prepareRepository = async (
  repos: string,
  preparation: Preparation,
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
    if (preparation.action === 'create') fchownSync(folder, preparation.uid, groupOf(preparation));
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

const groupOf = ({ uid, gid }: Preparation): number => gid ?? uid;

/** The mount says who owns it, and the start has tried that the accounts may write there. */
const tryToChown = (path: string, preparation: Preparation): void => {
  try {
    chownSync(path, preparation.uid, groupOf(preparation));
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
 * coreutils' chown -h walks by file descriptor and never follows a link below the folder. It changes the top folder last, and its mode is set at
 * the very end: the next pass recognises an adoption that was interrupted anywhere.
 */
const handOver = async (
  folder: number,
  preparation: Preparation,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> => {
  const path = pathForPrograms(folder);
  // Nobody has access during the work.
  fchmodSync(folder, 0o700);
  if (preparation.action === 'adopt') {
    let entries = 0;
    const owner = `${preparation.uid}:${groupOf(preparation)}`;
    const chown = execa('chown', ['-hRv', owner, '--', path], {
      cancelSignal: signal,
      stdin: 'ignore',
      stdout: 'pipe',
      buffer: false,
      encoding: 'buffer',
    });
    // There is a line for each, with a path as long as its folders are deep. So lines are counted, not kept.
    for await (const chunk of chown.iterable({ binary: true, preserveNewlines: true })) {
      const before = Math.floor(entries / TOLD_EVERY);
      for (const byte of chunk) if (byte === NEWLINE) entries += 1;
      const now = Math.floor(entries / TOLD_EVERY);
      for (let each = before + 1; each <= now; each += 1) progress(preparation.name, each * TOLD_EVERY);
    }
    await chown;
  }
  // Before the modes: a mode that opens a file to its group opens it to all whom an ACL names.
  await removeExtendedRights(path, signal);
  await openToAccount(path, signal);
};

/**
 * Hands over what is not the account's inside a folder that is. Its sessions go on meanwhile: only the owner and mode of such an entry
 * change, each through its own descriptor.
 */
const handOverInside = async (folder: number, preparation: Preparation, signal: AbortSignal): Promise<void> => {
  const path = pathForPrograms(folder);
  await removeExtendedRights(path, signal);
  await openToAccount(path, signal, { uid: preparation.uid, gid: groupOf(preparation) });
};
