import { constants, fstatSync, ftruncateSync, readSync, rmdirSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Places } from '../places.ts';
import { errorCode } from '../system/errno.ts';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { closing, openFile } from '../system/open.ts';
import { printable } from '../text/printable.ts';
import { DEEPEST } from './depth.ts';
import { isBorgsOwn, isRepository } from './is-repository.ts';
import { MAX_ROSTER_BYTES, withoutHost } from './lock-roster.ts';

/** A lock that was removed, in words for a log; with `failure`, one that could not be removed, and why. */
export type ClearedLock = { readonly repository: string; readonly lock: string; readonly failure?: string };

/**
 * Removes the locks that sessions of this server left behind: in every repository of /repos, in deeper ones, and in the caches of
 * the server's own borg. Only locks with this host id are removed; others may be alive.
 *
 * Call it while you hold the lease and before anybody can log in: then no session with this host id can be alive. borg itself
 * would ask whether the PID is alive, but after a restart that may be another process. In a folder with very many entries only
 * some are looked at, and the result says so.
 *
 * @throws the system's error where /repos cannot be listed; a repository that fails is in the result, and the others go on
 */
export const clearStaleLocks = async (places: Places, hostId: string): Promise<readonly ClearedLock[]> => {
  const cleared: ClearedLock[] = [];
  const clear = (path: string, shown: string, deeper: number, tell: Tell, room: Room): void => {
    try {
      inFolder(path, (folder) => {
        const found = folder.someEntries(Math.min(MOST_ENTRIES, Math.max(0, room.entries)));
        room.entries -= found.length;
        const folders = found.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
        for (const name of [LOCK_FOLDER, ROSTER, ...folders.filter(isHalfMade)]) {
          for (const lock of clearLock(folder, name, hostId, room)) tell({ repository: printable(shown), ...lock });
        }
        if (deeper === 0) return;
        const inside = foldersToLookInto(folder, folders);
        const looked = inside.slice(0, room.left);
        room.left -= looked.length;
        for (const name of looked) clear(join(folder.path, name), join(shown, name), deeper - 1, tell, room);
        if (found.length === MOST_ENTRIES || room.entries <= 0 || inside.length > looked.length)
          tell({ repository: printable(shown), lock: 'nested repositories', failure: TOO_MANY });
      });
    } catch (error) {
      tell({ repository: printable(shown), lock: 'not looked at', failure: codeOf(error) });
    }
  };
  const clearAll = (path: string, shown: string, deeper: number): void => {
    const { tell, told } = tellSome(printable(shown));
    clear(path, shown, deeper, tell, { left: MOST_NESTED, entries: MOST_ALTOGETHER });
    cleared.push(...told());
  };
  const each = (path: string, then: (below: string, name: string) => void): void => {
    inFolder(path, (folder) => {
      const names = folder.someEntries(Infinity).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
      for (const name of names.sort()) then(join(folder.path, name), name);
    });
  };
  each(places.repos, (below, name) => {
    if (!name.startsWith('.')) clearAll(below, join(places.repos, name), DEEPEST);
  });
  each(join(places.state, 'borg'), (below, name) => {
    const shown = join(places.state, 'borg', name, '.cache/borg');
    try {
      inFolder(join(below, '.cache'), (cache) => clearAll(join(cache.path, 'borg'), shown, 1));
    } catch (error) {
      cleared.push({ repository: shown, lock: 'not looked at', failure: codeOf(error) });
    }
  });
  return cleared;
};

/**
 * How many entries of a folder are looked at, and how many folders below one of /repos. Its account can fill it without end, and must not
 * delay the start with that. The two locks of a repository itself are found by their names.
 */
const MOST_ENTRIES = 2000;
const MOST_NESTED = 1000;
/** So many locks of one folder of /repos are told one by one: each is a line of the log. */
const MOST_TOLD = 2000;
/** Entries of all folders below one of /repos. */
const MOST_ALTOGETHER = 20_000;
const TOO_MANY = `only ${MOST_NESTED} folders are looked into; borg break-lock frees the rest`;

/** What may still be looked at below one folder of /repos. */
type Room = { /** Folders. */ left: number; entries: number };
type Tell = (lock: ClearedLock) => void;

/** The removed locks and the failed ones: the first ones one by one, of the rest only their number. */
const tellSome = (repository: string): { readonly tell: Tell; readonly told: () => readonly ClearedLock[] } => {
  const first: ClearedLock[] = [];
  const [removed, failed] = [{ count: 0 }, { count: 0 }];
  return {
    tell: (lock) => {
      const kind = lock.failure === undefined ? removed : failed;
      kind.count += 1;
      if (kind.count <= MOST_TOLD) first.push(lock);
    },
    told: () => [
      ...first,
      ...(removed.count > MOST_TOLD ? [{ repository, lock: `${removed.count - MOST_TOLD} more` }] : []),
      ...(failed.count > MOST_TOLD
        ? [{ repository, lock: `${failed.count - MOST_TOLD} more`, failure: 'as those before' }]
        : []),
    ],
  };
};

/** An account may give its own repositories the names of borg's folders: `data`, or that of a lock. */
const foldersToLookInto = (folder: FolderHandle, names: readonly string[]): readonly string[] => {
  if (isRepository(folder)) return names.filter((name) => !isBorgsOwn(name));
  return names.filter(
    (name) => name === 'data' || !isBorgsOwn(name) || (inFolder(join(folder.path, name), isRepository) ?? false),
  );
};

const LOCK_FOLDER = 'lock.exclusive';
const ROSTER = 'lock.roster';

/** What a process left beside the lock when it died while taking it (borg makes it with mkdtemp and renames). */
const isHalfMade = (name: string): boolean => name.startsWith(`${LOCK_FOLDER}.`) && name.endsWith('.tmp');

type Lock = Omit<ClearedLock, 'repository'>;

const clearLock = (folder: FolderHandle, name: string, hostId: string, room: Room): readonly Lock[] => {
  try {
    return name === ROSTER ? clearRoster(join(folder.path, name), hostId) : clearLockFolder(folder, name, hostId, room);
  } catch (error) {
    return NO_LOCK.has(codeOf(error)) ? [] : [{ lock: printable(name), failure: codeOf(error) }];
  }
};

/** Nothing is there, or a link or a folder in the place of a roster. */
const NO_LOCK: ReadonlySet<string> = new Set(['ENOENT', 'ELOOP', 'EISDIR']);

const clearLockFolder = (folder: FolderHandle, name: string, hostId: string, room: Room): readonly Lock[] => {
  const path = join(folder.path, name);
  // The lock itself is always looked into. Of half-made ones there may be very many.
  const most = name === LOCK_FOLDER ? MOST_ENTRIES : Math.min(MOST_ENTRIES, Math.max(0, room.entries));
  const removed = inFolder(path, (locks) =>
    locks.someEntries(most).flatMap((lock) => {
      room.entries -= 1;
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

/** Written in place, so that owner and mode stay. If a crash cuts the roster off, borg takes it for empty. */
const clearRoster = (path: string, hostId: string): readonly Lock[] =>
  closing(openFile(path, constants.O_RDWR), (file) => {
    const found = fstatSync(file);
    // With a hard link the write would reach a file elsewhere.
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
  });

const codeOf = (error: unknown): string => errorCode(error) ?? String(error);
