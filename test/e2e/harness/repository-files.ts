import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { KEPT_MODE } from '../../../src/accounts/kept-file.ts';

/** Every file below the folder: its path from there, and the SHA-256 of its content. */
export const contents = async (folder: string): Promise<ReadonlyMap<string, string>> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const digests = files.map(
    async (file): Promise<[string, string]> => [
      relative(folder, file),
      createHash('sha256')
        .update(await readFile(file))
        .digest('hex'),
    ],
  );
  return new Map(await Promise.all(digests));
};

export type Ownership = {
  readonly path: string;
  readonly kind: 'folder' | 'file' | 'other';
  /** The permission bits, as chmod(1) writes them: `2770`. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
};

const KEPT = KEPT_MODE.toString(8);

/**
 * The folder itself (as `.`) and everything below it, without what snapshots share. That has the folder's group, or is listed: its owner is root, as
 * the tests of snapshots hold.
 */
export const ownerships = async (folder: string): Promise<readonly Ownership[]> => {
  const paths = await readdir(folder, { recursive: true });
  const { gid } = await lstat(folder);
  const all = await Promise.all(
    ['.', ...paths].map(async (path): Promise<Ownership> => {
      const found = await lstat(join(folder, path));
      return {
        path,
        kind: found.isDirectory() ? 'folder' : found.isFile() ? 'file' : 'other',
        mode: (found.mode & 0o7777).toString(8),
        uid: found.uid,
        gid: found.gid,
      };
    }),
  );
  return all.filter((each) => !(each.kind === 'file' && each.uid === 0 && each.mode === KEPT && each.gid === gid));
};
