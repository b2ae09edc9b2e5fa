import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROLE_FOLDERS, ROLES } from '../accounts/role.ts';
import { failure } from '../failure.ts';
import { readRegistry } from '../host/registry.ts';
import { inNoVolume } from '../host/volumes.ts';
import type { Places } from '../places.ts';
import { errorCode } from '../system/errno.ts';

/**
 * What looks as if a volume were missing, before anything is made in its place: a folder of the container itself, which goes
 * with it; and repositories that were never used by this server although its host keys were.
 */
export const doubtfulMounts = (places: Places): readonly { readonly path: string; readonly found: string }[] => {
  const own = inNoVolume(places);
  const forgotten = existsSync(join(places.sshkeys, 'host/ssh_host_ed25519_key')) && !existsSync(places.state);
  return [
    ...own.map((path) => ({ path, found: 'nothing is mounted here: what is written goes away with the container' })),
    ...(forgotten
      ? [{ path: places.repos, found: 'the host keys are from an earlier start, but this folder was never used' }]
      : []),
  ];
};

/**
 * Makes the role folders that are missing, if there never was an account in them; otherwise the mount is missing, and an
 * empty folder in its place would mean "nobody".
 *
 * @throws Error with cause `{ code: 'missing-mount', path }`
 */
export const prepareKeyTree = (places: Places): void => {
  const { registry } = readRegistry(places.state);
  for (const role of ROLES) {
    const path = join(places.sshkeys, ROLE_FOLDERS[role]);
    if (lstatSync(path, { throwIfNoEntry: false })) continue;
    if (registry.roles.includes(role)) {
      throw failure(
        'a folder of keys is missing that had keys before: is the volume mounted? To start without these accounts, make the folder',
        { code: 'missing-mount', path },
      );
    }
    try {
      mkdirSync(path, { recursive: true, mode: 0o755 });
    } catch (error) {
      // A read-only tree without the folder: it is reported as a finding, and nobody is in it.
      if (!['EROFS', 'EACCES'].includes(errorCode(error) ?? '')) throw error;
    }
  }
};
