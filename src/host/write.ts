import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { failure } from '../failure.ts';
import { errorCode } from '../system/errno.ts';
import { flush } from '../system/open.ts';
import { whereOwnersAreKept } from './ownerless.ts';
import { remedyOf } from './remedy.ts';

/**
 * Replaces a file in one step: a reader sees the old content or the new, never a part, also after kill -9. The file is root's, as
 * the server is. A link at the path is replaced, not followed.
 *
 * @param options.gid the file's group, where it is not root's
 * @param options.durable also survive a power cut (fsync of file and folder). It is for files on a disk that may keep no owners,
 *   or give new files a group of its own
 * @throws Error with cause `{ code: 'unwritable', file, found, remedy }`; the old file is then as it was, and nothing is left
 *   beside it
 */
export const writeFileAtomically = (
  path: string,
  content: string | Uint8Array,
  options: { readonly mode: number; readonly gid?: number; readonly durable?: boolean },
): void => {
  // An account's name may be as long as a file's name can be. A part of it is enough here, for one file is written at a time.
  const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.new`);
  try {
    const file = openFresh(temporary, options.mode);
    try {
      writeAll(file, content);
      if (options.durable) {
        whereOwnersAreKept(() => {
          fchownSync(file, 0, options.gid ?? 0);
          fchmodSync(file, options.mode);
        });
        fsyncSync(file);
      } else settle(file, options);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw unwritable(path, error);
  }
  if (options.durable) flush(dirname(path));
};

/**
 * Makes a new file for readers that are not root. None of them can open it before it is whole, so it needs no other name
 * meanwhile: the rename is a third of the time.
 *
 * @returns false where something is there already
 * @throws Error with cause `{ code: 'unwritable', file, found, remedy }`; nothing is left then
 */
export const makeFile = (
  path: string,
  content: string,
  options: { readonly mode: number; readonly gid: number },
): boolean => {
  try {
    const file = openSync(path, 'wx', 0o600);
    try {
      writeAll(file, content);
      settle(file, options);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw unwritable(path, error);
  }
};

/** The group first: if the mode came first, the former group could read it. */
const settle = (file: number, { mode, gid }: { readonly mode: number; readonly gid?: number }): void => {
  if (gid !== undefined) fchownSync(file, 0, gid);
  fchmodSync(file, mode);
};

/** writeSync may write less than asked for. */
const writeAll = (file: number, content: string | Uint8Array): void => {
  const bytes = Buffer.from(content);
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
};

/** A file that an interrupted write has left is rarely in the way, so it is looked for only when it is. */
const openFresh = (path: string, mode: number): number => {
  try {
    return openSync(path, 'wx', mode);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    rmSync(path);
    return openSync(path, 'wx', mode);
  }
};

/** Where a write to an open file failed, the system's own words name no file. */
const unwritable = (file: string, error: unknown): Error => {
  const found = error instanceof Error ? error.message : String(error);
  return failure('a file of the server could not be written', {
    code: 'unwritable',
    file,
    found,
    remedy: remedyOf(errorCode(error)),
  });
};
