import { readFileSync } from 'node:fs';

/** One mount that this process sees. */
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

/** The mount that a path is on. The path is absolute and has no links. Of several mounts at one place the last is on top. */
export const mountOf = (mounts: readonly Mount[], path: string): Mount | null =>
  mounts
    .filter(({ at }) => at === path || path.startsWith(at === '/' ? at : `${at}/`))
    .reduce<Mount | null>((found, mount) => (found && found.at.length > mount.at.length ? found : mount), null);

/** What this process sees mounted; nothing where /proc does not tell. */
export const readMounts = (): readonly Mount[] => {
  try {
    return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  } catch {
    return [];
  }
};
