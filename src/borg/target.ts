import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { failure } from '../failure.ts';
import { errorCode } from '../system/errno.ts';
import { printable } from '../text/printable.ts';
import { nearNames } from './near-names.ts';

/** A repository's folder, and the user that borg has to run as. */
export type Target = { readonly path: string; readonly uid: number; readonly gid: number };

/**
 * Looks at the folder that a command means. No link is followed, not even in the middle of the path.
 *
 * @param relative below root, without dots
 * @param as the user that borg runs as, whoever owns the folder: with IDENTITIES=shared, PUID
 * @throws Error with cause `{ code: 'no-repository' | 'root-owned' | 'misread-name', path, remedy }`
 */
export const findTarget = (root: string, relative: string, command: string, as?: Omit<Target, 'path'>): Target => {
  const path = join(root, relative);
  if (MISREAD.test(relative)) throw misread(path);
  const parts = relative.split('/');
  for (const [index] of parts.entries()) {
    const part = join(root, ...parts.slice(0, index + 1));
    if (!lstatSync(part, { throwIfNoEntry: false })?.isDirectory()) throw missing(root, relative, part, command);
  }
  const { uid, gid } = as ?? lstatSync(path);
  if (uid === 0 || gid === 0) {
    throw failure('the folder belongs to root; what borg writes there as root locks its account out', {
      code: 'root-owned',
      path,
      remedy: 'see that its key file is in /sshkeys, and run update-borgusers: it hands the folder to its account',
    });
  }
  return { path, uid, gid };
};

/**
 * What borg takes for the beginning of an archive's name or for a placeholder (borg/helpers/parseformat.py, Location). An admin
 * may have made such a folder. Then borg would work on another one, or on nothing.
 */
const MISREAD = /::|:$|[{}]/;

const misread = (path: string): Error =>
  failure('left out: borg would take a part of its name for an archive or a placeholder', {
    code: 'misread-name',
    path,
    remedy: 'rename the folder, without :: and braces',
  });

const missing = (root: string, relative: string, part: string, command: string): Error => {
  const names = listFolders(root);
  const near = nearNames(relative.split('/')[0] ?? '', names).map((name) => printable(name, 64));
  const meant = near.length > 0 ? ` (near: ${near.join(', ')})` : '';
  const found = lstatSync(part, { throwIfNoEntry: false }) ? 'it is a link or a file' : 'there is nothing';
  const remedy =
    command === 'init'
      ? 'put the key file into /sshkeys/repos: the account gets its folder, and borg init works in it'
      : names.length === 0
        ? 'there are no repositories yet'
        : 'see the names with: ls /repos';
  return failure(`there is no repository ${printable(relative)}${meant}`, {
    code: 'no-repository',
    path: part,
    found,
    remedy,
  });
};

const listFolders = (path: string): string[] =>
  entriesOf(path)
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();

/** It may be gone: a client may be deleting it. */
const entriesOf = (path: string): Dirent[] => {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
};
