import { readdirSync } from 'node:fs';
import { DEEPEST } from '../borg/depth.ts';
import { findRepositoriesOf } from '../borg/find-repositories.ts';

/** The account in whose folder a repository is. @param path below /repos */
export const accountOf = (path: string): string => path.split('/')[0] ?? '';

/** Names directly below /repos, without dotfiles, which are the server's. That /repos cannot be read is told by the next update. */
export const foldersIn = (repos: string): readonly string[] => {
  try {
    return readdirSync(repos).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
};

/**
 * The repositories in the folder of an account, by their paths below /repos.
 *
 * @param path such a folder, or a repository in it
 * @returns nothing where it cannot be read: whoever works with it tells that
 */
export const repositoriesBelow = (repos: string, path: string): readonly string[] => {
  if (!isPlain(path)) return [];
  if (path.includes('/')) return [path];
  try {
    return findRepositoriesOf(repos, path).paths;
  } catch {
    return [];
  }
};

/** A session may say any path. Whether it can be that of a repository: borg's own (guards/names.py) are not deeper, and a file system has no longer name. */
export const isPlain = (path: string): boolean => {
  const parts = path.split('/');
  const isName = (part: string): boolean =>
    part !== '' && !part.startsWith('.') && !part.includes('\0') && Buffer.byteLength(part) <= 255;
  return parts.length <= DEEPEST + 1 && parts.every(isName);
};
