import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import type { FolderHandle } from '../system/folder-handle.ts';

/**
 * Whether a folder is a repository, as borg judges it (borg/repository.py, is_repository). Two of three names are enough, so that
 * a damaged one is still found. They must be of the right kind: an account may call its sub-repositories `config` and `data`.
 */
export const isRepository = ({ path }: FolderHandle): boolean => {
  const found = (name: string, isRight: (found: Stats) => boolean): boolean => {
    const entry = lstatSync(join(path, name), { throwIfNoEntry: false });
    return entry !== undefined && isRight(entry);
  };
  const isFile = (entry: Stats): boolean => !entry.isDirectory();
  const isFolder = (entry: Stats): boolean => entry.isDirectory() || entry.isSymbolicLink();
  return [found('config', isFile), found('README', isFile), found('data', isFolder)].filter(Boolean).length >= 2;
};

/** Whether borg itself uses this name inside a repository. No other repository is looked for there. */
export const isBorgsOwn = (name: string): boolean => name === 'data' || name.startsWith('lock.');
