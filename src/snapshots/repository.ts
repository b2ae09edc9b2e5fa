import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { readSnapshotKeep, type SnapshotKeep, snapshotKeepText } from '../accounts/snapshot-keep.ts';
import { writeStateFile } from '../host/state-file.ts';
import type { Places } from '../places.ts';
import { type About, aboutFile, readAbout } from './about.ts';
import { expired } from './expiry.ts';
import { heldByOlder } from './held.ts';
import type { NotDone } from './program.ts';
import { beginSnapshot, listSnapshots, removeSnapshot, type Snapshot, snapshotsOf } from './store.ts';
import { takeSnapshot } from './take.ts';

/** What taking a snapshot needs: borg's interpreter, the server's host id (locks are taken in its name), and the admins' uid. */
export type Taking = {
  readonly places: Pick<Places, 'repos' | 'state'>;
  readonly python: string;
  readonly hostId: string;
  readonly admins: number;
  readonly now: () => number;
  readonly signal: AbortSignal;
};

/**
 * Keeps the present state of a repository as its newest snapshot.
 *
 * @param path of the repository, below /repos
 * @param folder of its snapshots
 * @param given.state see readState
 * @param given.keep for how long former states of it are kept
 * @returns null where it is kept
 * @throws the system's error, or that a file cannot be written. Nothing of it is left then, or it is removed at the next start
 */
export const keepRepository = async (
  { places, python, hostId, admins, now, signal }: Taking,
  path: string,
  folder: string,
  { state, keep }: { readonly state: string; readonly keep: SnapshotKeep },
): Promise<NotDone | null> => {
  const { uid, gid } = lstatSync(join(places.repos, path.split('/')[0] ?? ''));
  if (uid === 0) return { code: 'not-its-own', why: 'its folder belongs to root' };
  const older = listSnapshots(folder);
  const unfinished = beginSnapshot(folder, now());
  try {
    const source = { repos: places.repos, path, uid, gid, admins };
    const taken = await takeSnapshot({ python, hostId }, source, unfinished.into, signal);
    if ('code' in taken) {
      await unfinished.drop();
      return taken;
    }
    const { transaction, segments, bytes } = taken;
    const olderHold = await heldByOlder(older, unfinished.into);
    const about: About = {
      ...{ state, keep: snapshotKeepText(keep), transaction, segments, bytes },
      ...{ protected: taken.protected, olderHold },
    };
    unfinished.finish(about);
    return null;
  } catch (error) {
    await unfinished.drop().catch(() => {});
    throw error;
  }
};

/** For how long states of a repository were kept when the newest was taken; nothing where there is none. */
export const lastKeepOf = (state: string, path: string): readonly SnapshotKeep[] => {
  const folder = snapshotsOf(state, path);
  const newest = folder === null ? undefined : listSnapshots(folder).at(-1);
  const keep = newest && readSnapshotKeep(readAbout(newest)?.keep ?? '');
  return keep === undefined || typeof keep === 'object' ? [] : [keep];
};

/**
 * Removes the snapshots of a repository whose time is over (expiry.ts). With 'no' none goes by itself: who wants no new ones may still need those
 * that are there.
 *
 * @param now milliseconds since the epoch
 * @returns how many were removed
 * @throws the system's error
 */
export const removeExpired = async (folder: string, keep: SnapshotKeep, now: number): Promise<number> => {
  if (keep === 'no') return 0;
  const isSpared = (snapshot: Snapshot): boolean => readAbout(snapshot)?.spared === true;
  const old = expired(listSnapshots(folder), { keep: keep === Infinity ? null : keep * 1000, now, isSpared });
  for (const each of old) await removeSnapshot(folder, each);
  if (old.length > 0) await countAnew(folder);
  return old.length;
};

/**
 * Removes snapshots of a repository that somebody has chosen: by their numbers, all but the newest, or all.
 *
 * @returns the numbers of those that were removed
 * @throws the system's error
 */
export const removeChosen = async (
  folder: string,
  which: readonly number[] | 'older' | 'all',
): Promise<readonly number[]> => {
  const all = listSnapshots(folder);
  const older = which === 'older' ? all.slice(0, -1) : all;
  const chosen = typeof which === 'string' ? older : all.filter(({ number }) => which.includes(number));
  for (const each of chosen) await removeSnapshot(folder, each);
  if (chosen.length > 0) await countAnew(folder);
  return chosen.map(({ number }) => number);
};

/** A state that an undo has replaced is not only the last one of an hour: it stays as if it were the last one of its day. */
export const spare = (folder: string | null, number: number | null): void => {
  const snapshot = folder === null ? undefined : listSnapshots(folder).find((each) => each.number === number);
  const about = snapshot && readAbout(snapshot);
  if (snapshot && about) writeStateFile(aboutFile(snapshot.path), { ...about, spared: true });
};

/** After some have gone, what the older ones hold is less. */
const countAnew = async (folder: string): Promise<void> => {
  const snapshots = listSnapshots(folder);
  const newest = snapshots.at(-1);
  const about = newest && readAbout(newest);
  if (!newest || !about) return;
  const olderHold = await heldByOlder(snapshots.slice(0, -1), join(newest.path, 'repository'));
  writeStateFile(aboutFile(newest.path), { ...about, olderHold });
};
