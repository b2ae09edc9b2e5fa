import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isKept } from '../accounts/kept-file.ts';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { openBounded } from '../system/plain-file.ts';
import { isKeyCutOff } from './config-key.ts';
import { readConfigText } from './config-text.ts';
import { lastNumber } from './last-number.ts';
import { isWholeMap } from './msgpack-map.ts';
import { readRepositoryConfig } from './repository-config.ts';

/** Why borg does not open what is a repository, or was one. The text is printable. */
export type Damage = {
  /** 'config-kept': the former config is still there, and can be put back. 'key': the repokey in the config is cut off. */
  readonly kind: 'config' | 'config-kept' | 'key' | 'data' | 'integrity' | 'closed';
  readonly text: string;
};

/** borg keeps about ten entries there. */
const MOST_ENTRIES = 4096;
/** integrity.N has about 200 bytes. */
const MOST_INTEGRITY = 4096;

/**
 * Whether a repository would open: its config, its data, and what borg reads first. Tried with borg 1.2.4 to 1.4.5: if README, index, hints or
 * integrity are missing, or index or hints are cut off, borg opens it and makes them again. But it fails at an integrity.N that is no whole map.
 *
 * @param owner the account that must be able to read it. What belongs to somebody else altogether is told elsewhere (diagnose-owners.ts)
 * @returns null where nothing is wrong, and where it is no repository: it has nothing of one, or only names that others use too
 * @throws the system's error where it cannot be looked at
 */
export const findDamage = (path: string, owner: { readonly uid: number; readonly gid: number }): Damage | null =>
  inFolder(path, (folder) => {
    const names = folder.someEntries(MOST_ENTRIES).map(({ name }) => name);
    const [index, hints, integrity] = (['index', 'hints', 'integrity'] as const).map((kind) => {
      const last = lastNumber(names, kind);
      return last === null ? undefined : `${kind}.${last}`;
    });
    const files = [index, hints, integrity].flatMap((name) => name ?? []);
    const data = statOf(folder, 'data');
    const config = statOf(folder, 'config');
    const hasData = data?.isDirectory() === true;
    const signs = [
      config?.isFile(),
      hasData,
      isBorgsReadme(folder),
      statOf(folder, 'nonce')?.isFile(),
      files.length > 0,
    ];
    // An index with the number of a transaction is borg's for certain.
    if (signs.filter(Boolean).length < 2 && files.length < 2) return null;

    const text = readConfigText(folder);
    const why = configTrouble(config, text);
    if (why !== null) return { kind: hasFormerConfig(folder) ? 'config-kept' : 'config', text: `its config ${why}` };
    if (text !== null && isKeyCutOff(text)) return { kind: 'key', text: 'the key in its config is cut off' };
    if (!hasData) return { kind: 'data', text: 'its folder data is missing' };
    if (files.length > 0 && isEmpty(join(folder.path, 'data')))
      return { kind: 'data', text: 'its folder data is empty' };
    const closed = ['config', 'data', ...files].find((name) => isClosed(statOf(folder, name), owner));
    if (closed !== undefined) return { kind: 'closed', text: `its account may not read and write ${closed}` };
    return integrity && !isWhole(folder, integrity)
      ? { kind: 'integrity', text: `its file ${integrity} is empty or cut off` }
      : null;
  });

const statOf = ({ path }: FolderHandle, name: string): Stats | undefined =>
  lstatSync(join(path, name), { throwIfNoEntry: false });

/** A README in any other folder may be that of anything. */
const isBorgsReadme = ({ path }: FolderHandle): boolean =>
  openBounded(join(path, 'README'), (read) => /\b(Borg|Attic)\b.*repository/.test(read(0, 200).toString('latin1'))) ??
  false;

const configTrouble = (found: Stats | undefined, text: string | null): string | null => {
  if (!found) return 'is missing';
  if (!found.isFile()) return 'is no file';
  if (text === '') return 'is empty';
  return text === null || readRepositoryConfig(text) === null ? 'is cut off, or of another form' : null;
};

/** borg keeps the former config for the moment in which it writes a new one (borg/repository.py, save_config). */
const hasFormerConfig = (folder: FolderHandle): boolean => {
  const text = readConfigText(folder, 'config.old');
  return text !== null && readRepositoryConfig(text) !== null;
};

const isEmpty = (path: string): boolean => inFolder(path, (folder) => folder.someEntries(1).length === 0) ?? false;

const isWhole = ({ path }: FolderHandle, name: string): boolean =>
  openBounded(join(path, name), (read, { size }) => size > MOST_INTEGRITY || isWholeMap(read(0, MOST_INTEGRITY))) ??
  true;

/** Whether the mode keeps the account itself, as owner or by its group, out of its own file. */
const isClosed = (found: Stats | undefined, { uid, gid }: { readonly uid: number; readonly gid: number }): boolean => {
  if (!found || found.isSymbolicLink() || (found.uid !== uid && found.gid !== gid)) return false;
  // Only what borg never writes to becomes such a file.
  if (isKept(found)) return false;
  const needed = found.isDirectory() ? 0o7 : 0o6;
  const bits = found.uid === uid ? found.mode >> 6 : found.mode >> 3;
  return (bits & needed) !== needed;
};
