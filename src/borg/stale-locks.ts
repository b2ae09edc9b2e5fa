import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../accounts/error-code.ts';
import { printable } from '../accounts/printable.ts';
import type { Places } from '../places.ts';
import { type FolderHandle, inFolder } from './folder-handle.ts';
import { MAX_ROSTER_BYTES, withoutHost } from './lock-roster.ts';

/** A lock that was removed, in words fit for a log; with `failure`, one that could not be removed, and why. */
export type ClearedLock = { readonly repository: string; readonly lock: string; readonly failure?: string };

/**
 * Removes the locks that sessions of this server left behind: in every repository of /repos, in those that an admin made
 * one folder deeper, and in the caches of the server's own borg. Only locks with this host id go; others may be alive.
 *
 * Call it with the lease held and before anybody can log in: then no session with this host id can be alive. borg itself
 * would ask whether the PID is alive, which after a restart may be somebody else's.
 *
 * @throws the system's error where /repos cannot be listed; a repository that fails is in the result, and the others go on
 */
export const clearStaleLocks = async (places: Places, hostId: string): Promise<readonly ClearedLock[]> => {
  const cleared: ClearedLock[] = [];
  const clear = (path: string, shown: string, depth: number): void => {
    try {
      inFolder(path, (folder) => {
        const entries = folder.entries();
        for (const entry of entries) {
          for (const lock of clearEntry(folder, entry, hostId)) cleared.push({ repository: printable(shown), ...lock });
        }
        if (depth === 0) return;
        for (const entry of entries) {
          if (!entry.isDirectory() || entry.name === 'data' || isLockFolder(entry.name)) continue;
          clear(join(folder.path, entry.name), join(shown, entry.name), depth - 1);
        }
      });
    } catch (error) {
      cleared.push({ repository: printable(shown), lock: 'not looked at', failure: codeOf(error) });
    }
  };
  const each = (path: string, then: (below: string, name: string) => void): void => {
    inFolder(path, (folder) => {
      for (const entry of folder.entries()) if (entry.isDirectory()) then(join(folder.path, entry.name), entry.name);
    });
  };
  each(places.repos, (below, name) => {
    if (!name.startsWith('.')) clear(below, join(places.repos, name), 1);
  });
  each(join(places.state, 'borg'), (below, name) => {
    inFolder(join(below, '.cache'), (cache) => {
      clear(join(cache.path, 'borg'), join(places.state, 'borg', name, '.cache/borg'), 1);
    });
  });
  return cleared;
};

const LOCK_FOLDER = 'lock.exclusive';

/** The lock itself, or what a process that died while taking it left beside it (borg makes it with mkdtemp and renames). */
const isLockFolder = (name: string): boolean =>
  name === LOCK_FOLDER || (name.startsWith(`${LOCK_FOLDER}.`) && name.endsWith('.tmp'));

type Lock = Omit<ClearedLock, 'repository'>;

const clearEntry = (folder: FolderHandle, entry: Dirent, hostId: string): readonly Lock[] => {
  try {
    if (entry.isDirectory() && isLockFolder(entry.name)) return clearLockFolder(folder, entry.name, hostId);
    if (entry.isFile() && entry.name === 'lock.roster') return clearRoster(join(folder.path, entry.name), hostId);
    return [];
  } catch (error) {
    return [{ lock: printable(entry.name), failure: codeOf(error) }];
  }
};

const clearLockFolder = (folder: FolderHandle, name: string, hostId: string): readonly Lock[] => {
  const path = join(folder.path, name);
  const removed = inFolder(path, (locks) =>
    locks.entries().flatMap((lock) => {
      const process = lock.name.startsWith(`${hostId}.`) ? lock.name.slice(hostId.length + 1) : '';
      if (!lock.isFile() || !/^\d+-[0-9a-f]+$/.test(process)) return [];
      unlinkSync(join(locks.path, lock.name));
      return [{ lock: `${LOCK_FOLDER} ${lock.name}` }];
    }),
  );
  if (!removed || removed.length === 0) return [];
  try {
    rmdirSync(path);
  } catch (error) {
    // Another host's lock is in it, too.
    if (codeOf(error) !== 'ENOTEMPTY') throw error;
  }
  return removed;
};

/** Written in place, so that owner and mode stay; a roster that is cut off counts as empty for borg. */
const clearRoster = (path: string, hostId: string): readonly Lock[] => {
  const file = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = fstatSync(file);
    // A hard link would let the writing reach a file elsewhere.
    if (!found.isFile() || found.nlink !== 1 || found.size > MAX_ROSTER_BYTES) return [];
    const bytes = Buffer.alloc(found.size);
    const { removed, left } = withoutHost(bytes.toString('utf8', 0, readSync(file, bytes, 0, found.size, 0)), hostId);
    if (removed.length === 0) return [];
    if (left === null) unlinkSync(path);
    else {
      ftruncateSync(file, 0);
      writeSync(file, left, 0);
    }
    return removed.map((entry) => ({ lock: `lock.roster ${printable(entry)}` }));
  } finally {
    closeSync(file);
  }
};

const codeOf = (error: unknown): string => errorCode(error) ?? String(error);
