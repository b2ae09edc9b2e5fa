import { findBorg } from '../borg/interpreter.ts';
import { askServer } from '../control/client.ts';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { createKeeper } from '../snapshots/keeper.ts';
import type { Asked, Keeper } from '../snapshots/kept-states.ts';
import { lookBeforeCompact } from '../snapshots/questions.ts';
import { realClock } from '../system/clock.ts';
import { printable } from '../text/printable.ts';

/** A snapshot takes milliseconds, a large one some seconds. */
const PATIENCE_MS = 10 * 60_000;

/**
 * Has the server keep the present state of a repository before something changes it on this machine. Where it cannot, standard error says so, and
 * the work goes on: a disk that is full must not keep anybody from making room.
 *
 * @param path below /repos
 */
export const keepBefore = ({ run }: Pick<Places, 'run'>, path: string): Promise<void> =>
  telling(path, () => askServer(run, { command: 'keep', repository: path, when: 'now' }, PATIENCE_MS));

/**
 * The same before owners and modes are changed there; and as long as this process lives, no further snapshot is taken. Where there is none before, it
 * is often for the very files that are about to be repaired.
 *
 * @throws what askServer throws
 */
export const keepAndHold = async ({ run }: Pick<Places, 'run'>, path: string): Promise<void> => {
  await askServer(run, { command: 'keep', repository: path, when: 'now', holdFor: process.pid }, PATIENCE_MS);
};

/**
 * Tells the server, if one runs, that a repository may have changed.
 *
 * @param what the command that has changed it
 * @param when 'now': its new state is kept at once
 */
export const tellChanged = async (
  { run }: Pick<Places, 'run'>,
  path: string,
  what: string,
  when: 'now' | 'changed' = 'changed',
): Promise<void> => {
  // If it does not hear this: it looks at all repositories when it starts, and after sessions.
  await askServer(run, { command: 'keep', repository: path, when, what }, PATIENCE_MS).catch(() => null);
};

/**
 * The same where no server runs. Call it while you hold the lease.
 *
 * @param hostId locks are taken in its name
 */
export const keepAlone = (places: Places, hostId: string, path: string): Promise<void> =>
  telling(path, () => alone(places, hostId, (keeper) => keeper.keep(path)));

/**
 * Asks the server whether a repository may be compacted, while borg has its lock.
 *
 * @returns why not, in one line; '' if it may be
 * @throws what askServer throws, and that no server runs here any more
 */
export const lookBefore = async ({ run }: Pick<Places, 'run'>, path: string): Promise<string> => {
  const history = await askServer(run, { command: 'history', repository: path, seen: false });
  if (history === null) throw new Error('no server runs here any more');
  return lookBeforeCompact(path, history) ?? '';
};

/** The same where no server runs. Call it while you hold the lease. */
export const lookAlone = (places: Places, hostId: string, path: string): Promise<string> =>
  alone(places, hostId, async (keeper) => lookBeforeCompact(path, await keeper.history(path, false)) ?? '');

const alone = async <T>(places: Places, hostId: string, use: (keeper: Keeper) => Promise<T>): Promise<T> => {
  const log = { info: () => {}, warn: () => {} };
  const { python } = findBorg();
  const keeper = createKeeper({
    ...{ places, python, hostId, log, connected: () => [] },
    ...{ settings: requireSettings(process.env), clock: realClock },
  });
  try {
    return await use(keeper);
  } finally {
    await keeper.close();
  }
};

const telling = async (path: string, keep: () => Promise<readonly Asked[] | null>): Promise<void> => {
  const tell = (of: string, why: string): void =>
    console.error(`borgserver: ${printable(of)}: no snapshot could be taken before: ${why}`);
  try {
    const kept = await keep();
    if (kept === null) tell(path, 'no server runs here');
    for (const { repository, result } of kept ?? []) if (typeof result === 'object') tell(repository, result.why);
  } catch (error) {
    tell(path, failureInOneLine(error));
  }
};
