import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { isRepository } from '../borg/is-repository.ts';
import { lastNumber } from '../borg/last-number.ts';
import { failure } from '../failure.ts';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';

/** borg has about eight names there. Its account can make more without end. */
const MOST_NAMES = 1000;

/**
 * What tells one state of a repository from the next, as text: the number of its last transaction, and its `config` (which has the key). It is read
 * without a look at any segment, so 10,000 repositories that have not changed cost no walk.
 *
 * borg gives each transaction a new number (borg/repository.py, "index.%d"). A borg that was taken over may change files without one. Then the
 * snapshot from before has them, and that is the one which counts.
 *
 * @param path of the repository, below `repos`; no link in it is followed
 * @returns null where no repository is
 * @throws the system's error; Error with cause `{ code: 'too-much' }`
 */
export const readState = (repos: string, path: string): string | null => {
  const into = (above: FolderHandle | string, [name, ...deeper]: readonly string[]): string | null =>
    name === undefined
      ? null
      : inFolder(join(typeof above === 'string' ? above : above.path, name), (folder) =>
          deeper.length > 0 ? into(folder, deeper) : stateOf(folder),
        );
  return into(repos, path.split('/'));
};

const stateOf = (folder: FolderHandle): string | null => {
  if (!isRepository(folder)) return null;
  const names = folder.someEntries(MOST_NAMES).map(({ name }) => name);
  // The index could be among those that were not read, and what has changed would seem unchanged.
  if (names.length === MOST_NAMES) throw failure('there are too many files in it', { code: 'too-much' });
  const config = lstatSync(join(folder.path, 'config'), { throwIfNoEntry: false });
  const kept = config ? `${config.ino} ${config.size} ${config.mtimeMs}` : 'gone';
  return `index ${lastNumber(names, 'index') ?? 'none'} config ${kept}`;
};
