import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Places } from '../places.ts';
import type { Source } from '../snapshots/program.ts';
import { printable } from '../text/printable.ts';

/**
 * Whose a repository is, also where the repository itself is gone: its account's folder says it.
 *
 * @param path below /repos
 * @param admins the admins' uid
 * @returns in words, with the cure, where nobody can tell
 */
export const sourceOf = ({ repos }: Places, path: string, admins: number): Source | string => {
  const account = path.split('/')[0] ?? '';
  const top = lstatSync(join(repos, account), { throwIfNoEntry: false });
  if (!top?.isDirectory() || top.uid === 0)
    return `/repos/${printable(account)} is not there, or not its account's: see that its key file is there, type update-borgusers, and then this again`;
  return { repos, path, uid: top.uid, gid: top.gid, admins };
};
