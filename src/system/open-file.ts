import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { errorCode } from './errno.ts';

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
};

const NOT_THERE: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO']);

/**
 * Opens a file that somebody else may exchange at any time: no link is followed, no pipe or device waited for, and only
 * parts are read.
 *
 * @param path its last component is not followed; the folder should be a FolderHandle
 * @returns what `use` returns; null where no plain file is there
 * @throws the system's error of any other kind, or what `use` throws
 */
export const openBounded = <T>(path: string, use: (read: ReadPart, facts: FileFacts) => T): T | null => {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (NOT_THERE.has(errorCode(error))) return null;
    throw error;
  }
  try {
    const found = fstatSync(file);
    if (!found.isFile()) return null;
    const read: ReadPart = (from, length) => {
      const bytes = Buffer.allocUnsafe(length);
      return bytes.subarray(0, readSync(file, bytes, 0, length, from));
    };
    const { size, mtimeMs: modified, uid, gid } = found;
    return use(read, { size, allocated: found.blocks * 512, modified, uid, gid });
  } finally {
    closeSync(file);
  }
};
