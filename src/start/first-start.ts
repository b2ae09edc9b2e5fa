import { existsSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROLE_FOLDERS, ROLES } from '../accounts/role.ts';
import { failure } from '../failure.ts';
import { readRegistry } from '../host/registry.ts';
import { inNoVolume } from '../host/volumes.ts';
import type { Places } from '../places.ts';
import { errorCode } from '../system/errno.ts';

/**
 * What looks like a missing volume, before anything is made in its place: a folder of the container itself, which is gone with
 * the container; and repositories that this server never used, although its host keys are older.
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
 * Makes the missing role folders, if there never was an account in them. Otherwise the mount is missing, and an empty folder in
 * its place would mean "nobody".
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
      // A read-only tree without the folder: that is reported as a finding, and the folder has no accounts.
      if (!['EROFS', 'EACCES'].includes(errorCode(error) ?? '')) throw error;
    }
  }
};
