import { realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { ROLE_FOLDERS } from '../accounts/role.ts';
import { isSystems } from './ignored-entry.ts';
import { pollTree } from './poll.ts';
import { HOST_FOLDER, nameOf } from './tree.ts';
import type { TreeWatch } from './tree-watch.ts';

/** How long after a fault the next watcher is tried, in ms: the first and the longest wait. */
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 60_000;
/** How often it looks at the folders themselves, in ms. */
const FOLDER_CHECK_MS = 1000;

/** @param account whose file seems to have changed; undefined: every file may have changed */
type OnEvent = (account?: string) => void;

/**
 * Watches the key tree and calls `onEvent` for anything that may have changed in it, and at least once after every (re)start of the watcher: it
 * only means "look again". A fault is told to `onFault`, and a fresh watcher is tried later. It never throws and never ends anything.
 *
 * If a folder is removed and made again at once, chokidar loses it for good, with everything that is put into it later. So the
 * identities of the folders are compared every second, and a fresh watcher is made when one differs.
 */
export const watchTree = (
  root: string,
  {
    polling,
    onEvent,
    onFault,
  }: { readonly polling: boolean; readonly onEvent: OnEvent; readonly onFault: (error: Error) => void },
): TreeWatch => {
  if (polling) return pollTree(root, onEvent);
  let watcher: FSWatcher | null = null;
  let retry: NodeJS.Timeout | null = null;
  let wait = FIRST_RETRY_MS;
  let closed = false;
  let armed: string | null = null;

  const fail = (error: unknown): void => {
    if (closed || retry) return;
    onFault(error instanceof Error ? error : new Error(String(error)));
    void disarm();
    retry = setTimeout(() => {
      retry = null;
      arm();
    }, wait).unref();
    wait = Math.min(wait * 2, LAST_RETRY_MS);
  };

  const disarm = async (): Promise<void> => {
    const old = watcher;
    watcher = null;
    await old?.close().catch(() => {});
  };

  const arm = (): void => {
    try {
      const top = realRoot(root);
      const fresh = watch(top, { ...OPTIONS, ignored: isNoise(root) });
      watcher = fresh;
      const current = (then: () => void) => () => {
        if (watcher === fresh) then();
      };
      fresh.on('all', (event, path) => current(() => onEvent(accountOf(top, event, path)))());
      fresh.on(
        'ready',
        current(() => {
          wait = FIRST_RETRY_MS;
          onEvent();
        }),
      );
      // A watcher that told of one fault may see nothing in that place from then on.
      fresh.on('error', (error) => current(() => fail(error))());
    } catch (error) {
      fail(error);
    }
  };

  const checkFolders = async (): Promise<void> => {
    const found = await identities(root);
    const changed = armed !== null && armed !== found;
    armed = found;
    if (!changed || closed || retry) return;
    await disarm();
    if (closed) return;
    arm();
    onEvent();
  };

  arm();
  void checkFolders();
  const timer = setInterval(() => void checkFolders(), FOLDER_CHECK_MS).unref();

  return {
    close: async () => {
      closed = true;
      clearInterval(timer);
      if (retry) clearTimeout(retry);
      await disarm();
    },
  };
};

/**
 * Links are watched as links, so that the swap of Kubernetes' `..data` is an event. What is two folders down does not matter. An
 * unlink is told at once, not 100 ms later.
 */
const OPTIONS = { ignoreInitial: true, followSymlinks: false, depth: 1, atomic: false } as const;

/** What is no file of a role folder may concern any account: a folder, or the link with which Kubernetes swaps all files at once. */
const accountOf = (root: string, event: string, path: string): string | undefined => {
  const [folder = '', entry = '.', ...deeper] = relative(root, path).split(sep);
  const isKeyFile = ROLE_FOLDER_NAMES.has(folder) && !entry.startsWith('.') && deeper.length === 0;
  return isKeyFile && !event.endsWith('Dir') ? nameOf(entry) : undefined;
};

const ROLE_FOLDER_NAMES: ReadonlySet<string> = new Set(Object.values(ROLE_FOLDERS));

const isNoise = (root: string) => {
  const top = realRoot(root);
  return (path: string): boolean => {
    const [first = '', ...deeper] = relative(top, path).split(sep);
    return first === HOST_FOLDER || [first, ...deeper].some(isSystems);
  };
};

const realRoot = (root: string): string => {
  try {
    return realpathSync.native(root);
  } catch {
    return root;
  }
};

/** The inodes of the root and the role folders, as one text. A folder that is made again often gets the old number, so its birth time counts too. */
const identities = async (root: string): Promise<string> => {
  const folders = [root, ...Object.values(ROLE_FOLDERS).map((folder) => join(root, folder))];
  const found = await Promise.all(
    folders.map((folder) =>
      stat(folder).then(
        ({ dev, ino, birthtimeMs }) => `${dev}:${ino}:${birthtimeMs}`,
        () => 'none',
      ),
    ),
  );
  return found.join(' ');
};
