import { fstatSync, readSync } from 'node:fs';
import { errorCode } from './errno.ts';
import { closing, openFile, openIfThere } from './open.ts';

/** Reads up to `length` bytes from `from`; fewer where the file ends. */
export type ReadPart = (from: number, length: number) => Buffer;

export type FileFacts = {
  readonly size: number;
  /** Bytes that it takes on the disk: less than its size where it has holes. */
  readonly allocated: number;
  /** Milliseconds since the epoch. */
  readonly modified: number;
  readonly uid: number;
  readonly gid: number;
  /** With the type of the file, as stat(2) has it. */
  readonly mode: number;
};

/**
 * Opens a file that somebody else may exchange at any time: no link is followed, no pipe or device waited for, and only
 * parts are read.
 *
 * @param path its last component is not followed; the folder should be a FolderHandle
 * @returns what `use` returns; null where no plain file is there
 * @throws the system's error of any other kind, or what `use` throws
 */
export const openBounded = <T>(path: string, use: (read: ReadPart, facts: FileFacts) => T): T | null => {
  const file = openIfThere(path, openFile);
  return file === null ? null : closing(file, () => usePlain(file, use));
};

const usePlain = <T>(file: number, use: (read: ReadPart, facts: FileFacts) => T): T | null => {
  const found = fstatSync(file);
  if (!found.isFile()) return null;
  const read: ReadPart = (from, length) => {
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, from));
  };
  const { size, mtimeMs: modified, uid, gid, mode } = found;
  return use(read, { size, allocated: found.blocks * 512, modified, uid, gid, mode });
};

/** What is in the place of a file of the server's own. */
export type OwnFile =
  | { readonly kind: 'file'; readonly text: string }
  | { readonly kind: 'none' }
  /** Such as a folder or a pipe. Only root can have put it there. */
  | { readonly kind: 'other' };

/**
 * Reads a text of the server's own. There must be no link in its place.
 *
 * @param most no more bytes are read
 * @throws the system's error of any other kind: ELOOP for a link
 */
export const readOwnFile = (path: string, most = Number.POSITIVE_INFINITY): OwnFile => {
  let file: number;
  try {
    file = openFile(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { kind: 'none' };
    throw error;
  }
  return closing(file, () => {
    const text = usePlain(file, (read, { size }) => read(0, Math.min(size, most)).toString('utf8'));
    return text === null ? { kind: 'other' } : { kind: 'file', text };
  });
};
