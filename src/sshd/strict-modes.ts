import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { failure } from '../failure.ts';

/**
 * Checks a folder for what StrictModes demands of authorized keys outside a home (sshd_config(5)): it and every folder above belong
 * to root, and nobody else may write there. sshd itself checks that only at the first login. The login then fails, and the client
 * sees no reason. A tmpfs on /run with its usual mode 1777 is enough to cause this.
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
