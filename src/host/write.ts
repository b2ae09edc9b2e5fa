import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode } from '../accounts/error-code.ts';
import { whereOwnersAreKept } from './ownerless.ts';
import { remedyOf } from './remedy.ts';

/**
 * Replaces a file in one step: whoever reads it sees the old content or the new, never a part, also after kill -9.
 * The file is root's; an existing link at the path is replaced, not followed.
 *
 * @param options.durable also survive a power cut (fsync of file and folder); for what is on a disk, which may keep no owners
 * @throws Error with cause `{ code: 'unwritable', file, found, remedy }`; the old file is then as it was, and nothing is left
 *   beside it
 */
export const writeFileAtomically = (
  path: string,
  content: string | Uint8Array,
  options: { readonly mode: number; readonly durable?: boolean },
): void => {
  // An account's name may be as long as the name of a file; its prefix is enough, for one file is written at a time.
  const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.new`);
  try {
    const file = openFresh(temporary, options.mode);
    try {
      // writeSync may write less than asked for.
      const bytes = Buffer.from(content);
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
      const belong = (): void => {
        fchownSync(file, 0, 0);
        fchmodSync(file, options.mode);
      };
      if (options.durable) whereOwnersAreKept(belong);
      else belong();
      if (options.durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw unwritable(path, error);
  }
  if (options.durable) syncFolder(dirname(path));
};

/** A file that an interrupted write has left there is in the way seldom enough to be looked for only then. */
const openFresh = (path: string, mode: number): number => {
  try {
    return openSync(path, 'wx', mode);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    rmSync(path);
    return openSync(path, 'wx', mode);
  }
};

/** The system's own words name no file where a write to an open one failed. */
const unwritable = (file: string, error: unknown): Error => {
  const found = error instanceof Error ? error.message : String(error);
  const cause = { code: 'unwritable', file, found, remedy: remedyOf(errorCode(error)) };
  return new Error('a file of the server could not be written', { cause });
};

const syncFolder = (path: string): void => {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
};
