import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { type FolderHandle, inFolder } from '../system/folder-handle.ts';
import { openBounded } from '../system/plain-file.ts';
import { readConfigText } from './config-text.ts';
import { DEEPEST } from './depth.ts';
import { type Encryption, readEncryption } from './encryption.ts';
import { readFormerKeys } from './former-keys.ts';
import { type Hints, MAX_HINTS_BYTES, readHints, USUAL_HINTS_BYTES } from './hints.ts';
import { INDEX_HEADER_BYTES, readObjectCount } from './index-header.ts';
import { isBorgsOwn, isRepository } from './is-repository.ts';
import { type ArchiveMemory, findLastArchive, type LastArchive, NO_MEMORY } from './last-archive.ts';
import { lastNumber } from './last-number.ts';
import { type LockHolder, readLockHolders } from './lock-holders.ts';
import { foldersAmong, lookBelow } from './look-below.ts';
import { type RepositoryConfig, readRepositoryConfig } from './repository-config.ts';

/** What a folder is to borg, without the key and without walking the data. The client writes the repository, so all of it may be a lie. */
export type RepositoryState =
  | { readonly kind: 'empty' }
  /** Something else is in it, and `borg init` refuses it. `nested` names the folders in it that are repositories. */
  | { readonly kind: 'foreign'; readonly nested: readonly string[] }
  | {
      readonly kind: 'repository';
      readonly config: RepositoryConfig;
      /** Null: not known (hints of another version, cut off, or none after an interrupted first commit). */
      readonly encryption: Encryption | null;
      /** Bytes as borg's quota counts them. Null: not known until the next commit. */
      readonly bytes: number | null;
      /** Objects, the manifest among them. Null: not known. */
      readonly objects: number | null;
      /** Milliseconds since the epoch: the last commit by anybody, the server's own compaction too. */
      readonly committed: number | null;
      /** Milliseconds since the epoch: when a client that encrypts last began to write. Null where none does. */
      readonly written: number | null;
      /** Null: without an index there is no transaction to look at. */
      readonly lastArchive: LastArchive | null;
      /** The counter of the encryption is so high that no client reached it by itself, and borg will soon refuse to write. */
      readonly nonceSpent: boolean;
      readonly locks: readonly LockHolder[];
      readonly nested: readonly string[];
      /** The files of the keys that append-only clients have replaced, the oldest first (see image/launcher/guards/keys.py). */
      readonly formerKeys: readonly string[];
    };

/** borg keeps about ten entries there. */
const MOST_ENTRIES = 4096;
const MOST_NESTED = 1000;
/** The most entries in all folders in which repositories below one are looked for. */
const MOST_NESTED_ENTRIES = 20_000;

/**
 * Looks at one folder.
 *
 * @param memory of what the segments said the last time
 * @param deeper how many folders below it repositories are looked for
 * @returns null where no folder is there
 * @throws the system's error where it cannot be read
 */
export const readRepositoryState = (
  path: string,
  memory: ArchiveMemory = NO_MEMORY,
  deeper = DEEPEST,
): RepositoryState | null =>
  inFolder(path, (folder) => {
    const entries = folder.someEntries(MOST_ENTRIES);
    if (entries.length === 0) return { kind: 'empty' };
    const names = new Set(entries.map(({ name }) => name));
    const nested = deeper === 0 ? [] : nestedIn(folder, entries, deeper);
    const config = names.has('data') ? readConfig(folder) : null;
    if (!config) return { kind: 'foreign', nested };
    const transaction = lastNumber(names, 'index');
    const hints = transaction === null ? null : readHintsOf(join(folder.path, `hints.${transaction}`));
    const index = transaction === null ? null : readIndexOf(join(folder.path, `index.${transaction}`));
    return {
      ...{ kind: 'repository', config, nested },
      encryption: readEncryption(folder, hints?.segments ?? [0], config.segmentsPerDir),
      bytes: hints?.storageUse ?? null,
      objects: index?.objects ?? null,
      committed: index?.modified ?? null,
      lastArchive:
        transaction === null ? null : findLastArchive(folder, transaction, config.segmentsPerDir, config.id, memory),
      ...(readNonce(folder) ?? { written: null, nonceSpent: false }),
      locks: readLockHolders(folder, names),
      formerKeys: names.has('former-keys') ? readFormerKeys(folder) : [],
    };
  });

type Backups = Pick<
  Extract<RepositoryState, { kind: 'repository' }>,
  'objects' | 'committed' | 'written' | 'lastArchive'
>;

const hasArchive = ({ objects, committed }: Backups): boolean =>
  committed !== null && (objects === null || objects > 1);

/**
 * When the last backup was finished, as exactly as it can be known: milliseconds since the epoch, or null where there is no archive.
 *
 * The segments say it (last-archive.ts): the last visible archive. If a compaction has moved all of them, none is visible. Then the
 * backup was before that compaction, and before a client that encrypts last began to write (`nonce`). A `borg check` raises `nonce` too,
 * and each compaction makes a new index: neither alone is a backup. Where the segments say nothing (`isBackupUnknown`), the same two
 * times are its latest possible time. What root has written is nobody's backup.
 */
export const lastBackup = (state: Backups): number | null => {
  if (state.committed === null || !hasArchive(state)) return null;
  const { finished = null, moved = null, foreign } = state.lastArchive ?? {};
  if (finished === null && foreign !== undefined) return null;
  return finished ?? Math.min(moved ?? state.committed, state.written ?? state.committed);
};

/**
 * Until when a backup later than `lastBackup` may have come. A compaction leaves no trace of it. Null: there was none.
 */
export const laterBackupUntil = (state: Backups): number | null =>
  hasArchive(state) ? (state.lastArchive?.moved ?? null) : null;

/** Whether there may be a backup whose time nobody can know, because the segments are not as borg writes them. */
export const isBackupUnknown = (state: Backups): boolean => hasArchive(state) && state.lastArchive?.unknown === true;

const readConfig = (folder: FolderHandle): RepositoryConfig | null => {
  const text = readConfigText(folder);
  return text === null ? null : readRepositoryConfig(text);
};

/** Paths of the repositories below the folder: below one of them no more is looked for. */
const nestedIn = (folder: FolderHandle, entries: readonly Dirent[], levels: number): readonly string[] => {
  const room = { folders: MOST_NESTED, entries: MOST_NESTED_ENTRIES };
  const into = (inside: FolderHandle, some: readonly Dirent[]): readonly string[] => {
    // An account may call its own repositories `data` and `lock.old`.
    const inRepository = isRepository(inside);
    const names = foldersAmong(some)
      .filter((name) => !(inRepository && isBorgsOwn(name)))
      .slice(0, room.folders);
    room.folders -= names.length;
    room.entries -= some.length;
    return names;
  };
  return lookBelow(folder, into(folder, entries), levels, (inside, path) =>
    // Also a repository whose config is damaged, or no file: that must not hide it.
    isRepository(inside) || readConfig(inside) !== null
      ? { found: [path] }
      : { into: () => into(inside, inside.someEntries(Math.min(MOST_ENTRIES, Math.max(0, room.entries)))) },
  ).sort();
};

/** 16 digits of hex, in blocks of 16 bytes (borg's documentation, internals: nonce). This is 16 EiB. Near 2 ** 64 borg does not write any more. */
const SPENT = 2n ** 60n;

/** Whether the counter of the encryption was raised to its end. */
export const isNonceSpent = (folder: FolderHandle): boolean => readNonce(folder)?.nonceSpent === true;

const readNonce = (folder: FolderHandle): { readonly written: number; readonly nonceSpent: boolean } | null =>
  openBounded(join(folder.path, 'nonce'), (read, { modified }) => {
    const digits = /^[0-9a-f]{16}$/.exec(read(0, 17).toString('latin1').trim())?.[0] ?? '0';
    return { written: modified, nonceSpent: BigInt(`0x${digits}`) >= SPENT };
  });

const readHintsOf = (path: string): Hints | null =>
  openBounded(path, (read, { size }) => {
    const usual = readHints(read(0, Math.min(size, USUAL_HINTS_BYTES)));
    return usual ?? (size > USUAL_HINTS_BYTES ? readHints(read(0, Math.min(size, MAX_HINTS_BYTES))) : null);
  });

const readIndexOf = (path: string): { readonly objects: number | null; readonly modified: number } | null =>
  openBounded(path, (read, { allocated, modified }) => ({
    objects: readObjectCount(read(0, INDEX_HEADER_BYTES), allocated),
    modified,
  }));
