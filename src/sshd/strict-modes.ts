import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure } from '../failure.ts';

/**
 * Holds a folder to what StrictModes demands of authorized keys outside a home (sshd_config(5)): it and every folder above are
 * root's, and nobody else may write there. sshd itself says so only at the first login, which then fails without a reason
 * that the client could see; a tmpfs on /run with its usual mode 1777 is enough.
 *
 * @param path absolute, without links
 * @throws Error with cause `{ code: 'unsafe-folder', path, found, remedy }`
 */
export const checkStrictModes = (path: string): void => {
  const { uid, mode } = statSync(path);
  const found = uid === 0 ? `its mode is ${(mode & 0o7777).toString(8)}` : `it belongs to uid ${uid}`;
  if (uid !== 0 || (mode & 0o022) !== 0) {
    throw failure('sshd would not trust the authorized keys', {
      code: 'unsafe-folder',
      path,
      found,
      remedy: `only root may own it and write there: chown root ${path} && chmod go-w ${path} (for a tmpfs: mode=755)`,
    });
  }
  if (dirname(path) !== path) checkStrictModes(dirname(path));
};
