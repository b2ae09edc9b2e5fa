import type { RepositoryState } from './repository-state.ts';

/** Bytes of a file system: free for users other than root, and all. */
export type Space = {
  readonly free: number;
  readonly total: number;
  /** Files that can still be made. Null where the file system does not say. */
  readonly inodes?: number | null;
};

/** The same as in image/launcher/guards/disk_floor.py, which holds the sessions to it. */
const PART = 50;
const MOST_NEED = 2e9;
/** borg's largest segment as `borg init` sets it, and the largest object (borg/constants.py). */
const SEGMENT_BYTES = 500 * 1024 * 1024 + 20 * 1024 * 1024;
/** An entry of index.N. Up to three quarters of the places are used, and at least a third (borg/_hashindex.c). */
const INDEX_BYTES_PER_OBJECT = 40 * 3;

/** Bytes that one compaction of a repository needs: borg copies up to a segment before it removes one, and needs four times the index. */
export const compactionNeed = (
  state: Pick<Extract<RepositoryState, { kind: 'repository' }>, 'bytes' | 'objects'>,
): number => Math.min(state.bytes ?? SEGMENT_BYTES, SEGMENT_BYTES) + 4 * INDEX_BYTES_PER_OBJECT * (state.objects ?? 0);

/**
 * The bytes that are kept free on a file system. Below that, sessions accept no new data.
 *
 * @param setting MIN_FREE: bytes, or 'auto'
 * @param need bytes that the largest compaction there needs
 */
export const diskFloor = (setting: number | 'auto', { total }: Pick<Space, 'total'>, need: number): number =>
  setting === 'auto' ? Math.max(Math.floor(total / PART), boundNeed(need, total)) : setting;

/** Files that a session makes for a lock and a commit, and some more. */
const LEAST_INODES = 50;

/** What one compaction needs at most, whatever MIN_FREE is. */
const boundNeed = (need: number, total: number): number => Math.min(need, MOST_NEED, Math.floor(total / 2));

/**
 * Whether new data are refused already, soon, or not yet. 'short': they are accepted, but MIN_FREE is less than the largest compaction
 * needs, so that compaction could not finish. 'no-inodes': no lock can be made. A file system that does not tell its size has no floor.
 *
 * @param need bytes that the largest compaction there needs
 */
export const judgeSpace = (
  { free, total, inodes = null }: Space,
  floor: number,
  need = 0,
): 'no-inodes' | 'below' | 'short' | 'near' | 'enough' => {
  if (inodes !== null && inodes < LEAST_INODES) return 'no-inodes';
  if (total === 0) return 'enough';
  if (free < floor) return 'below';
  if (free < boundNeed(need, total)) return 'short';
  return free < 2 * floor ? 'near' : 'enough';
};

/** Whether backups, or compactions that make room, already fail because of it. */
export const isTooFull = (state: ReturnType<typeof judgeSpace>): boolean =>
  state === 'below' || state === 'short' || state === 'no-inodes';
