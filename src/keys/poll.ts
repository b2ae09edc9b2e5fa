import { createHash } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ROLE_FOLDERS } from '../accounts/role.ts';
import { isSystems } from './ignored-entry.ts';
import type { TreeWatch } from './tree-watch.ts';

const POLLING_MS = 1000;

/**
 * Looks at the key tree every second, and calls `onEvent` when it has changed, and once at the start. It is for file systems that
 * report no events. It compares the whole tree. A watcher for each file (chokidar's, on a busy machine) may take its first look
 * after the change, and then never tells of it.
 */
export const pollTree = (root: string, onEvent: () => void): TreeWatch => {
  let seen: string | null = null;
  let looking: Promise<void> | null = null;
  let closed = false;

  const look = async (): Promise<void> => {
    const found = await fingerprintOf(root);
    if (closed || found === seen) return;
    seen = found;
    onEvent();
  };
  const tick = (): void => {
    // While a slow file system has not answered, it is not asked again.
    looking ??= look().finally(() => {
      looking = null;
    });
  };

  tick();
  const timer = setInterval(tick, POLLING_MS).unref();
  return {
    close: async () => {
      closed = true;
      clearInterval(timer);
      await looking;
    },
  };
};

/** Everything that differs after a change of the tree: names, inodes, times and sizes of all entries in the role folders, through links. */
const fingerprintOf = async (root: string): Promise<string> => {
  const hash = createHash('sha256');
  for (const path of [root, ...Object.values(ROLE_FOLDERS).map((folder) => join(root, folder))]) {
    hash.update(`${await lookAt(path)}\n`);
    if (path === root) continue;
    const names = (await readdir(path).catch(() => [])).filter((name) => !isSystems(name)).sort();
    for (const line of await Promise.all(names.map(async (name) => `${name} ${await lookAt(join(path, name))}\n`))) {
      hash.update(line);
    }
  }
  return hash.digest('hex');
};

const lookAt = (path: string): Promise<string> =>
  stat(path).then(
    ({ dev, ino, mtimeMs, ctimeMs, size }) => `${dev} ${ino} ${mtimeMs} ${ctimeMs} ${size}`,
    (error: NodeJS.ErrnoException) => error.code ?? 'error',
  );
