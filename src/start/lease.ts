import { once } from 'node:events';
import { chmodSync, closeSync, constants, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { failure } from '../failure.ts';
import { whereOwnersAreKept } from '../host/ownerless.ts';
import type { Places } from '../places.ts';
import { errorCode } from '../system/errno.ts';
import { openFile } from '../system/open.ts';
import { spawnSafely } from '../system/spawn.ts';

/** The right to use /repos with this server's host id. It ends with release() or with the process, in whatever way that ends. */
export type Lease = { readonly release: () => Promise<void> };

const CONFLICT = 75;

/**
 * Takes the lease on /repos, or says that somebody else has it. The lock is on a file that this process keeps open. flock(1) inherits the open file
 * as descriptor 3 and locks it. A lock of flock(2) belongs to the open file, not to a process. So the kernel frees it when this process is gone,
 * after kill -9 too, and no helper has to stay alive. Children do not keep it: Node opens files close-on-exec.
 *
 * @throws Error with cause `{ code: 'lease-failed', path, found }`: without locks in the file system the server cannot go on; the
 *   system's error where the file cannot be opened (ELOOP: it is a link, which is not followed)
 */
export const acquireLease = async (places: Places): Promise<Lease | { readonly heldBy: 'another' }> => {
  prepareStateFolder(places.state);
  const path = join(places.state, 'lease');
  const file = openFile(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  let held = false;
  try {
    held = await lock(file, path);
  } finally {
    if (!held) closeSync(file);
  }
  if (!held) return { heldBy: 'another' };
  let released = false;
  return {
    release: async () => {
      if (!released) closeSync(file);
      released = true;
    },
  };
};

/**
 * The same for what cannot go on without it.
 *
 * @param remedy what to do where somebody else has it
 * @throws Error with cause `{ code: 'lease-held', path, remedy }`, and what acquireLease throws
 */
export const requireLease = async (places: Places, remedy: string): Promise<Lease> => {
  const lease = await acquireLease(places);
  if ('release' in lease) return lease;
  throw failure('another server or a one-shot container uses these repositories; two would break each other’s locks', {
    code: 'lease-held',
    path: places.repos,
    remedy,
  });
};

const lock = async (file: number, path: string): Promise<boolean> => {
  const { child: flock } = spawnSafely('flock', ['--nonblock', '--conflict-exit-code', String(CONFLICT), '3'], {
    stdio: ['ignore', 'ignore', 'pipe', file],
  });
  const [[code, signal], found] = await Promise.all([once(flock, 'close'), flock.stderr ? text(flock.stderr) : '']);
  if (code === 0 || code === CONFLICT) return code === 0;
  throw failure('the repositories cannot be locked for this server', {
    code: 'lease-failed',
    path,
    found: found.trim() || `flock ended with ${signal ?? code}`,
  });
};

const prepareStateFolder = (path: string): void => {
  try {
    mkdirSync(path);
    // The umask cuts mkdir's mode, and the folder must be searchable for the cache folders inside.
    whereOwnersAreKept(() => chmodSync(path, 0o711));
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  }
  if (!lstatSync(path).isDirectory()) {
    throw failure('the place of the server state is not a folder: move it away', {
      code: 'lease-failed',
      path,
      found: 'a link or a file',
    });
  }
};
