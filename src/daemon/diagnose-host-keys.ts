import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { printable } from '../accounts/printable.ts';
import { type Diagnosis, warning } from './diagnosis.ts';

/** More than these nobody has; the folder is the operator's, and what else lies there is nobody's host key. */
const MOST = 100;

/**
 * A warning for each private host key, a copy under another name too, that somebody other than its owner can read: who has it
 * can pass for the server. sshd reads copies of its own with modes of its own, so that nothing else would ever say it.
 *
 * @param folder where the host keys are kept; one that is not there or that only its owner may enter gives nothing
 */
export const diagnoseOpenHostKeys = (folder: string): readonly Diagnosis[] => {
  try {
    // Who may not enter the folder cannot read what is in it (path_resolution(7)).
    if ((statSync(folder).mode & 0o011) === 0) return [];
    return readdirSync(folder)
      .filter((name) => name.startsWith('ssh_host_') && !name.endsWith('.pub'))
      .slice(0, MOST)
      .flatMap((name) => openKey(join(folder, name)));
  } catch {
    // What is wrong with the folder itself is told where the keys are looked at.
    return [];
  }
};

const openKey = (file: string): readonly Diagnosis[] => {
  // Behind a link, as a Secret of Kubernetes has it, it is the same key. A link that leads nowhere is none.
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile() || (found.mode & 0o044) === 0) return [];
  const { mode } = found;
  const shown = printable(file);
  return [
    warning(
      'host keys',
      `${shown} is private, and others on this machine can read it (mode ${(mode & 0o777).toString(8)}): who has it can pass for this server`,
      `chmod 600 ${shown}; a file system that keeps no modes (CIFS, exFAT) wants it in its mount options. Was somebody else there already? Then make a new one`,
    ),
  ];
};
