import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readAbout } from './about.ts';
import { folderOfProcess, leftByProcesses } from './process-folder.ts';
import type { NotDone, Source } from './program.ts';
import { preparePutBack, removeTree, treeOf } from './put-back.ts';
import type { Snapshot } from './store.ts';

/** A snapshot as a whole repository of its account, for as long as somebody reads it. What is done in it does not reach the snapshot. */
export type Reading = {
  /** Root's folder of the two below. The box of whoever reads has to be open there. */
  readonly above: string;
  readonly repository: string;
  /**
   * For borg's cache and security folder (BORG_CACHE_DIR, BORG_SECURITY_DIR): the account's own, and empty. An older state of the same repository at
   * another place is what borg takes for an attack, and what it remembers of the present one must stay.
   */
  readonly remembered: string;
  /** Removes all of it. Resolves with whether nothing is left; else clearReadings does it later. */
  readonly close: () => Promise<boolean>;
};

type Means = { readonly python: string };

const readingFolder = (state: string): string => join(state, 'reading');

let count = 0;

/**
 * Opens a snapshot for reading. See image/snapshots/put_back.py.
 *
 * @param means borg's interpreter
 * @param state the server state
 * @param account whose repository it is
 * @returns NotDone: nothing is left of it
 */
export const openReading = async (
  means: Means,
  state: string,
  snapshot: Snapshot,
  account: Pick<Source, 'path' | 'uid' | 'gid' | 'admins'>,
): Promise<Reading | NotDone> => {
  // Before the tree is made: what is being removed has no more of it.
  const about = readAbout(snapshot);
  if (about === null) return { code: 'removed', why: 'it has just been removed' };
  count += 1;
  const above = folderOfProcess(readingFolder(state), `${account.path.split('/')[0]}.${count}`);
  const close = async (): Promise<boolean> => !existsSync(above) || (await removeTree(means, above, 'unused'));
  try {
    const prepared = await preparePutBack(means, snapshot, above, account, 'read');
    const { segments } = about;
    if (!('code' in prepared) && segments === prepared.segments)
      return { above, repository: treeOf(above), remembered: join(above, 'borg'), close };
    await close();
    if (!('code' in prepared))
      return { code: 'incomplete', why: `it has ${prepared.segments} of its ${segments} segments` };
    return prepared.code === 'other-account' ? { ...prepared, why: OTHER_ACCOUNT } : prepared;
  } catch (error) {
    await close();
    throw error;
  }
};

const OTHER_ACCOUNT =
  'it is of an account with another group, and the one of now may not read it; copy it as root (docs/snapshots.md, "As a copy")';

/**
 * Removes what readings have left whose processes are gone.
 *
 * @returns folders that could not be removed
 */
export const clearReadings = async (means: Means, state: string): Promise<readonly string[]> => {
  const left: string[] = [];
  for (const above of leftByProcesses(readingFolder(state)))
    if (!(await removeTree(means, above, 'unused'))) left.push(above);
  return left;
};
