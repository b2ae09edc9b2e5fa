import type { RepositoryState } from './repository-state.ts';

/** Bytes of a file system: free for who is not root, and all. */
export type Space = { readonly free: number; readonly total: number };

/** As in image/launcher/disk_floor.py, which holds the sessions to it. */
const PART = 50;
const MOST_NEED = 2e9;
/** borg's largest segment as `borg init` sets it, and the largest object (borg/constants.py). */
const SEGMENT_BYTES = 500 * 1024 * 1024 + 20 * 1024 * 1024;
/** An entry of index.N, of which up to three quarters of the places are used and at least a third (borg/_hashindex.c). */
const INDEX_BYTES_PER_OBJECT = 40 * 3;

/** Bytes that one compaction of a repository needs: borg copies up to a segment before it removes one, and keeps four times the index. */
export const compactionNeed = (
  state: Pick<Extract<RepositoryState, { kind: 'repository' }>, 'bytes' | 'objects'>,
): number => Math.min(state.bytes ?? SEGMENT_BYTES, SEGMENT_BYTES) + 4 * INDEX_BYTES_PER_OBJECT * (state.objects ?? 0);

/**
 * What is kept free of a file system: below it sessions take no new data.
 *
 * @param setting MIN_FREE: bytes, or 'auto'
 * @param need bytes that the largest compaction there needs
 */
export const diskFloor = (setting: number | 'auto', { total }: Pick<Space, 'total'>, need: number): number =>
  setting === 'auto' ? Math.max(Math.floor(total / PART), Math.min(need, MOST_NEED, Math.floor(total / 2))) : setting;

/** Whether new data are refused already, soon, or not yet. A file system that does not tell its size has no floor. */
export const judgeSpace = ({ free, total }: Space, floor: number): 'below' | 'near' | 'enough' => {
  if (total === 0) return 'enough';
  return free < floor ? 'below' : free < 2 * floor ? 'near' : 'enough';
};
