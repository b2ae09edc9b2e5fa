import { findBorg } from '../borg/interpreter.ts';
import { askServer } from '../control/client.ts';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { readRecords, readSeen } from '../snapshots/change-record.ts';
import { createKeeper } from '../snapshots/keeper.ts';
import type { Asked } from '../snapshots/kept-states.ts';
import { lookBeforeCompact, readQuestion } from '../snapshots/questions.ts';
import { snapshotsOf } from '../snapshots/store.ts';
import { realClock } from '../system/clock.ts';
import { printable } from '../text/printable.ts';

/** A snapshot takes milliseconds, a large one some seconds. */
const PATIENCE_MS = 10 * 60_000;
/** The server may have to count objects. It gives up after a quarter of an hour. */
const LOOK_PATIENCE = 20 * 60_000;

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
 * @param what the command that has changed it; undefined: that was told
 * @param when 'now': its new state is kept at once
 */
export const tellChanged = async (
  { run }: Pick<Places, 'run'>,
  path: string,
  what: string | undefined,
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
  telling(path, async () => {
    const log = { info: () => {}, warn: () => {} };
    const { python } = findBorg();
    const keeper = createKeeper({
      ...{ places, python, hostId, log },
      ...{ settings: requireSettings(process.env), clock: realClock },
    });
    try {
      return await keeper.keep(path);
    } finally {
      await keeper.close();
    }
  });

/**
 * Hands on to the server what a borg asks that the operator runs on a repository (questions.ts).
 *
 * @param what the command
 */
export const askingFor = ({ run }: Pick<Places, 'run'>, path: string, what: string) => {
  let [commits, failed] = [0, false];
  const ask = async (question: string, signal: AbortSignal): Promise<string> => {
    const reply = await askServer(run, { command: 'ask', question, what }, LOOK_PATIENCE, signal);
    if (reply === null) throw new Error('no server runs here any more');
    return reply.answer;
  };
  return {
    /** @throws what askServer throws, and that no server runs here any more */
    answer: async (question: string, signal: AbortSignal): Promise<string> => {
      // Whatever borg asks about: it is this repository.
      const { sign, kind } = readQuestion(question);
      if (kind === 'look') return ask(sign + path, signal);
      const answer = await ask(sign + path, signal).catch(() => 'no answer');
      if (answer !== '') failed = true;
      else if (kind === 'mine') commits += 1;
      return answer;
    },
    /** Whether the server knows of each commit that this command has made it. */
    isTold: (): boolean => commits > 0 && !failed,
  };
};

/** Answers where no server runs: then only what it has written down counts. */
export const answerAlone = async (
  { state }: Pick<Places, 'state'>,
  path: string,
  question: string,
): Promise<string> => {
  if (readQuestion(question).kind !== 'look') return 'no server runs here';
  const folder = snapshotsOf(state, path);
  if (folder === null) return '';
  const recorded = { records: readRecords(folder).toReversed(), seen: readSeen(folder) };
  return lookBeforeCompact(path, { ...recorded, notKept: null, isThere: true }) ?? '';
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
