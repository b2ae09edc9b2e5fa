import type { SnapshotKeep } from '../accounts/snapshot-keep.ts';
import { failureInOneLine } from '../failure.ts';
import { printable } from '../text/printable.ts';
import type { SnapshotLog } from './failing.ts';
import { clearUndos } from './put-back.ts';
import { clearReadings } from './reading.ts';
import { removeExpired } from './repository.ts';
import { clearUnfinished, foldersOfSnapshots } from './store.ts';

type Sweeping = {
  readonly state: string;
  /** For how long snapshots of a repository are kept. */
  readonly keepOf: (repository: string) => SnapshotKeep;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Called for each repository the first time, and then where some were removed. */
  readonly onSeen: (repository: string, folder: string) => void;
};

/**
 * Removes all snapshots whose time is over. What fails is told, and the next is done all the same.
 *
 * @param isFirst also removes what was being made when the server ended
 * @param later does this for a repository in its turn, while no snapshot is being taken
 */
export const removeOld = (
  { state, keepOf, now, onSeen }: Sweeping,
  log: SnapshotLog,
  isFirst: boolean,
  later: (repository: string, work: () => Promise<void>) => void,
): void => {
  for (const { repository, folder } of list(state, log))
    later(repository, async () => {
      const shown = printable(repository, 200);
      try {
        if (isFirst) await clearUnfinished(folder);
        const removed = await removeExpired(folder, keepOf(repository), now());
        if (isFirst || removed > 0) onSeen(repository, folder);
        if (removed > 0) log.info({ repository: shown, snapshots: removed }, 'removed snapshots whose time is over');
      } catch (error) {
        const facts = { repository: shown, error: failureInOneLine(error) };
        log.warn(facts, 'old snapshots of this repository could not be removed; it is tried again');
      }
    });
};

/** Removes what undos and readings have left that were ended, and tells of what may be the former state of a repository, or could not be removed. */
export const clearEnded = async (
  means: { readonly python: string },
  state: string,
  log: Pick<SnapshotLog, 'warn'>,
): Promise<void> => {
  const clearing = [
    ['an undo was ended in the middle: what is left of it may be what was there before it', clearUndos],
    ['a snapshot was read, and what was made for that could not be removed', clearReadings],
  ] as const;
  for (const [what, clear] of clearing)
    try {
      for (const path of await clear(means, state)) log.warn({ path }, what);
    } catch (error) {
      log.warn({ error: failureInOneLine(error) }, what);
    }
};

const list = (state: string, log: Pick<SnapshotLog, 'warn'>): ReturnType<typeof foldersOfSnapshots> => {
  try {
    return foldersOfSnapshots(state);
  } catch (error) {
    log.warn({ error: failureInOneLine(error) }, 'the snapshots could not be listed; it is tried again');
    return [];
  }
};
