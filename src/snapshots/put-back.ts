import { renameSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { folderOfProcess, leftByProcesses } from './process-folder.ts';
import { askSnapshotProgram, type NotDone, type Source } from './program.ts';
import { namesIn, type Snapshot } from './store.ts';

/** borg's interpreter, and in whose name borg's lock is taken. */
type Means = { readonly python: string; readonly hostId: string };

/** Room for undos: each has a folder here. See image/snapshots/put_back.py. */
const undoFolder = (state: string): string => join(state, 'undo');

/** Where the new tree is, and then the former one. */
export const treeOf = (above: string): string => join(above, 'tree');

/** The folder of this process, for an undo of one repository. It is not made yet. */
export const folderForUndo = (state: string, path: string): string =>
  folderOfProcess(undoFolder(state), path.split('/')[0] ?? '');

/**
 * Makes a whole repository of a snapshot, beside the present one.
 *
 * @param above its folder, see folderForUndo
 * @param whatFor 'read': it never takes the repository's place. Then it need not be on the disk, and has a folder for what borg remembers of it; a
 *   transaction: only what it had until then, and no index
 * @returns how many segments it has
 */
export const preparePutBack = (
  { python }: Pick<Means, 'python'>,
  snapshot: Snapshot,
  above: string,
  { uid, gid, admins }: Pick<Source, 'uid' | 'gid' | 'admins'>,
  whatFor: 'undo' | 'read' | number = 'undo',
): Promise<{ readonly segments: number } | NotDone> => {
  const words = ['prepare', join(snapshot.path, 'repository'), above, ...[uid, gid, admins, whatFor].map(String)];
  return askSnapshotProgram(python, words, z.object({ segments: z.number() }), { patience: 0 });
};

const exchanged = z.object({ former: z.boolean(), unsure: z.string().optional() });

/** `former`: whether there was anything, which `above` has now. `unsure`: the disk did not say that it has written it. */
export type Exchanged = z.infer<typeof exchanged>;

/**
 * Puts it in the repository's place, in one step, once the repository's lock is free.
 *
 * @param snapshots the folder of all snapshots of this repository
 * @param wait for the lock, in seconds
 * @param keepKey the present key stays
 * @param mayGoOn is asked while the lock is held
 * @returns NotDone: nothing was changed
 */
export const exchange = (
  { python, hostId }: Means,
  { repos, path, uid, gid, admins }: Source,
  { above, snapshots, wait, keepKey }: { above: string; snapshots: string; wait: number; keepKey: boolean },
  mayGoOn: () => Promise<boolean>,
): Promise<Exchanged | NotDone> => {
  const numbers = [uid, gid, admins, wait].map(String);
  const words = ['exchange', repos, path, above, snapshots, hostId, ...numbers, keepKey ? 'yes' : 'no'];
  return askSnapshotProgram(python, words, exchanged, { mayGoOn, patience: 0 });
};

/** Whether the step was not begun: the repository is as it was. */
export const isNotBegun = (above: string): boolean => namesIn(above).includes('unused');

/** Whether what is in the folder of an undo never was a repository: it can go. */
export const isUnused = (above: string): boolean => {
  return isNotBegun(above) || !namesIn(above).includes('tree');
};

/**
 * Removes what a repository has in the folder of an undo. What borg would not make is left there.
 *
 * @param which 'unused': only if it never was in place
 * @returns whether it is all gone
 */
export const removeTree = async (
  { python }: Pick<Means, 'python'>,
  above: string,
  which: 'all' | 'unused',
): Promise<boolean> => {
  const told = await askSnapshotProgram(python, ['remove', above, which], z.object({ left: z.boolean() }), {
    patience: 0,
  });
  return !('code' in told) && !told.left;
};

/** What is left of an undo, and was told: no later one tells of it again. */
export const setAside = (above: string): string => {
  const aside = `${above}.left`;
  renameSync(above, aside);
  return aside;
};

/**
 * Removes what undos have made and not used, whose processes are gone.
 *
 * @returns folders that may have the former state of a repository: an undo was ended just when it took its place
 */
export const clearUndos = async (means: Pick<Means, 'python'>, state: string): Promise<readonly string[]> => {
  const left: string[] = [];
  for (const above of leftByProcesses(undoFolder(state)))
    if (!isUnused(above) || !(await removeTree(means, above, 'unused'))) left.push(above);
  return left;
};
