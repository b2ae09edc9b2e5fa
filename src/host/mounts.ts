import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROLE_FOLDERS } from '../accounts/role.ts';
import type { Places } from '../places.ts';

/** Below the key tree, what may be a volume of its own: Kubernetes mounts a Secret for each role, and one for the host keys. */
const PARTS = [...Object.values(ROLE_FOLDERS), 'host'];

/**
 * What of the key tree and the repositories is in no volume: it goes with the container. Where parts of the key tree are volumes
 * of their own, only what is in the other parts counts.
 *
 * @param mountinfo the text of /proc/self/mountinfo
 * @param isEmpty whether there is nothing in a folder, or no such folder
 */
export const inNoVolume = (
  { sshkeys, repos }: Pick<Places, 'sshkeys' | 'repos'>,
  mountinfo: string,
  isEmpty: (folder: string) => boolean = holdsNothing,
): readonly string[] => {
  const mounts = new Set(parseMountinfo(mountinfo).map(({ at }) => at));
  const parts = PARTS.map((name) => join(sshkeys, name));
  const tree = mounts.has(sshkeys)
    ? []
    : parts.some((part) => mounts.has(part))
      ? parts.filter((part) => !mounts.has(part) && !isEmpty(part))
      : [sshkeys];
  return [...tree, ...(mounts.has(repos) ? [] : [repos])];
};

/** A line of mountinfo. */
export type Mount = {
  /** Where it is. */
  readonly at: string;
  readonly type: string;
  /** Of this mount, such as ro. */
  readonly options: readonly string[];
  /** Of the file system itself, wherever it is mounted. */
  readonly own: readonly string[];
};

/**
 * Reads mountinfo, proc(5): `36 35 98:0 /root /mount/point rw shared:1 - nfs4 source rw,sec=sys`. The fields before the dash vary in number.
 */
export const parseMountinfo = (text: string): readonly Mount[] =>
  text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , , at, options = ''] = before.split(' ');
    if (!at) return [];
    const [type = '', , own = ''] = after.split(' ');
    return [{ at: unescaped(at), type, options: options.split(','), own: own.split(',') }];
  });

/** proc(5): a blank in a path is \040. */
const unescaped = (path: string): string =>
  path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** On what a path lies, which is absolute and has no links; of several mounts at one place the last is on top. */
export const mountOf = (mounts: readonly Mount[], path: string): Mount | null =>
  mounts
    .filter(({ at }) => at === path || path.startsWith(at === '/' ? at : `${at}/`))
    .reduce<Mount | null>((found, mount) => (found && found.at.length > mount.at.length ? found : mount), null);

/** proc(5) */
export const readMountinfo = (): string => {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
};

const holdsNothing = (folder: string): boolean => {
  try {
    return readdirSync(folder).length === 0;
  } catch {
    return true;
  }
};
