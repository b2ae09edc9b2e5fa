import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RepositoryFolder } from '../accounts/repository-folder.ts';

/**
 * Lists what is directly below /repos, without following a link. Dotfiles are the server's or an editor's.
 *
 * @throws the system's error where /repos cannot be read: not knowing the owners, a pass must not go on
 */
export const scanRepositories = (repos: string): readonly RepositoryFolder[] =>
  readdirSync(repos)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => {
      const found = lstatSync(join(repos, name), { throwIfNoEntry: false });
      if (!found) return [];
      const kind = found.isDirectory() ? 'folder' : 'other';
      return [{ name, kind, uid: found.uid, gid: found.gid, mode: found.mode & 0o7777 }];
    });
