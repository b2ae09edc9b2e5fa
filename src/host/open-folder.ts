import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { failure } from '../failure.ts';

/**
 * Makes a folder that is root's and that everybody may read, whatever the umask: sshd's sessions and libnss-extrausers look into
 * it with the account's own rights. Repairs owner and mode. A link is followed: /var/lib/extrausers may lead to /run.
 *
 * @throws the system's error; Error with cause `{ code: 'not-a-folder', path }` where something else is in its place
 */
export const keepFolderOpenToRead = (path: string): void => {
  if (!statSync(path, { throwIfNoEntry: false })) mkdirSync(path, { recursive: true });
  const found = statSync(path);
  if (!found.isDirectory()) {
    throw failure('something else is in the place of a folder of the server: move it away', {
      code: 'not-a-folder',
      path,
    });
  }
  if (found.uid !== 0 || found.gid !== 0) chownSync(path, 0, 0);
  if ((found.mode & 0o7777) !== 0o755) chmodSync(path, 0o755);
};
