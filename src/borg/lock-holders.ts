import { join } from 'node:path';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { openBounded } from '../system/plain-file.ts';
import { MAX_ROSTER_BYTES } from './lock-roster.ts';

/** Who holds a repository's lock. The host is hostile text. */
export type LockHolder = {
  readonly kind: 'exclusive' | 'shared';
  /** BORG_HOST_ID of the process. */
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since the epoch. For a shared lock: the last change of any shared one. */
  readonly since: number;
};

const MOST = 100;
/** The length of a file name: an entry of a roster may have a megabyte. */
const LONGEST_HOST = 255;

/**
 * Reads who holds the lock: the files HOSTID.PID-THREAD in lock.exclusive, and the shared entries of lock.roster
 * (borg/locking.py). A process that takes the lock exclusively is in both, and is listed once.
 *
 * @param names of the entries of the folder
 */
export const readLockHolders = (folder: FolderHandle, names: ReadonlySet<string>): readonly LockHolder[] => [
  ...(names.has('lock.exclusive') ? exclusiveHolders(folder) : []),
  ...(names.has('lock.roster') ? sharedHolders(folder) : []),
];

const exclusiveHolders = (folder: FolderHandle): readonly LockHolder[] =>
  inFolder(join(folder.path, 'lock.exclusive'), (locks) =>
    locks.someEntries(MOST).flatMap(({ name }) => {
      const match = /^(.+)\.(\d{1,10})-[0-9a-f]+$/s.exec(name);
      const since = openBounded(join(locks.path, name), (_read, { modified }) => modified);
      if (!match || since === null) return [];
      return [{ kind: 'exclusive' as const, host: match[1] ?? '', pid: Number(match[2]), since }];
    }),
  ) ?? [];

const sharedHolders = (folder: FolderHandle): readonly LockHolder[] =>
  openBounded(join(folder.path, 'lock.roster'), (read, { size, modified }) =>
    size > MAX_ROSTER_BYTES ? [] : sharedOf(read(0, size).toString('utf8'), modified),
  ) ?? [];

const sharedOf = (text: string, since: number): readonly LockHolder[] => {
  const shared = parseShared(text);
  return shared.slice(0, MOST).flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return [];
    const [host, pid]: unknown[] = entry;
    if (typeof host !== 'string' || typeof pid !== 'number' || !Number.isSafeInteger(pid)) return [];
    // A copy: a part of a string keeps the whole string in memory.
    return [{ kind: 'shared' as const, host: Buffer.from(host.slice(0, LONGEST_HOST)).toString(), pid, since }];
  });
};

const parseShared = (text: string): readonly unknown[] => {
  try {
    const roster: unknown = JSON.parse(text);
    return typeof roster === 'object' && roster !== null && 'shared' in roster && Array.isArray(roster.shared)
      ? roster.shared
      : [];
  } catch {
    // The write was interrupted. borg, too, takes the file for empty.
    return [];
  }
};
