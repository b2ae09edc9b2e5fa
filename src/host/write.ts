import { closeSync, fchmodSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/**
 * Replaces a file in one step: whoever reads it sees the old content or the new, never a part, also after kill -9.
 * The file is root's; an existing link at the path is replaced, not followed.
 *
 * @param options.durable also survive a power cut (fsync of file and folder); for what is on a disk
 * @throws the system's error; the old file is then as it was, and nothing is left beside it
 */
export const writeFileAtomically = (
  path: string,
  content: string,
  options: { readonly mode: number; readonly durable?: boolean },
): void => {
  // An account's name may be as long as the name of a file; its prefix is enough, for one file is written at a time.
  const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.new`);
  rmSync(temporary, { force: true });
  try {
    const file = openSync(temporary, 'wx', options.mode);
    try {
      // writeSync may write less than asked for.
      const bytes = Buffer.from(content);
      for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
      fchownSync(file, 0, 0);
      fchmodSync(file, options.mode);
      if (options.durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  if (options.durable) syncFolder(dirname(path));
};

const syncFolder = (path: string): void => {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
};
