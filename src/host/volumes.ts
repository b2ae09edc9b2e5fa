import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROLE_FOLDERS } from '../accounts/role.ts';
import type { Places } from '../places.ts';
import { type Mount, readMounts } from '../system/mounts.ts';

/** Below the key tree, what may be a volume of its own: Kubernetes mounts a Secret for each role, and one for the host keys. */
const PARTS = [...Object.values(ROLE_FOLDERS), 'host'];

/**
 * What of the key tree and the repositories is in no volume: it goes with the container. Where parts of the key tree are volumes
 * of their own, only what is in the other parts counts.
 *
 * @param isEmpty whether there is nothing in a folder, or no such folder
 */
export const inNoVolume = (
  { sshkeys, repos }: Pick<Places, 'sshkeys' | 'repos'>,
  seen: readonly Mount[] = readMounts(),
  isEmpty: (folder: string) => boolean = holdsNothing,
): readonly string[] => {
  const mounts = new Set(seen.map(({ at }) => at));
  const parts = PARTS.map((name) => join(sshkeys, name));
  const tree = mounts.has(sshkeys)
    ? []
    : parts.some((part) => mounts.has(part))
      ? parts.filter((part) => !mounts.has(part) && !isEmpty(part))
      : [sshkeys];
  return [...tree, ...(mounts.has(repos) ? [] : [repos])];
};

const holdsNothing = (folder: string): boolean => {
  try {
    return readdirSync(folder).length === 0;
  } catch {
    return true;
  }
};
