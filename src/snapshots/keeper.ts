import { accountNamed, type State } from '../accounts/account.ts';
import { longestKeep, type SnapshotKeep } from '../accounts/snapshot-keep.ts';
import { failureInOneLine } from '../failure.ts';
import type { Settings } from '../settings.ts';
import type { Clock } from '../system/clock.ts';
import { isFull } from '../system/errno.ts';
import { printable } from '../text/printable.ts';
import { readAbout } from './about.ts';
import type { Writer } from './change-record.ts';
import { createFailing, type SnapshotLog } from './failing.ts';
import { accountOf, foldersIn, repositoriesBelow } from './folders.ts';
import { createHolds } from './holds.ts';
import type { Asked, Claim, Keeper } from './kept-states.ts';
import { createKnown } from './known.ts';
import { createRecording } from './recording.ts';
import { keepRepository, lastKeepOf, removeChosen, removeExpired, spare, type Taking } from './repository.ts';
import { readState } from './repository-state.ts';
import { listSnapshots, snapshotsOf } from './store.ts';
import { clearEnded, removeOld } from './sweep.ts';
import { createTimers } from './timers.ts';
import { createTurns } from './turns.ts';

type Options = Omit<Taking, 'admins' | 'now' | 'signal'> & {
  readonly settings: Pick<Settings, 'SNAPSHOT_EVERY' | 'SNAPSHOT_KEEP' | 'PUID'>;
  readonly log: SnapshotLog;
  readonly clock: Clock;
  /** Who has a session of this account now. Left out: what happens is not written down, since nobody knows who does what. */
  readonly connected?: (account: string) => readonly Writer[];
};

const HOUR_MS = 3_600_000;
/** After a failure it is tried again, though nothing may change. */
const AGAIN_MS = 15 * 60_000;
/** For so long a snapshot that is being taken may delay the server's end. */
const LAST_MS = 5000;
/** While somebody hands files over, it is looked again so often. */
const HELD_MS = 60_000;
const NOT_WRITTEN = { code: 'not-written', why: 'what has happened could not be counted, or written down' };
/** The names of two things that wait, and are no repository's. */
const [ALL, SWEEP] = ['.all', '.sweep'];

/**
 * Keeps states of repositories: decides which, when and for how long. It does one at a time, so that backups have the machine.
 */
export const createKeeper = ({ settings, log, clock, connected, ...taking }: Options): Keeper => {
  const { repos, state } = taking.places;
  const every = settings.SNAPSHOT_EVERY * 1000;
  const stopping = new AbortController();
  const means: Taking = { ...taking, admins: settings.PUID, now: clock.now, signal: stopping.signal };
  const turns = createTurns();
  const failing = createFailing(log, clock.now);
  const known = createKnown();
  const recording = createRecording({
    ...{ python: taking.python, places: taking.places, log, now: clock.now, connected },
    roleOf: (path) => accountNamed(granted, accountOf(path))?.role ?? null,
  });
  const timers = createTimers(clock);
  /** Repositories for which SNAPSHOT_EVERY is over. */
  const due = new Set<string>();
  const holds = createHolds();
  const asked = new Map<string, Promise<Asked['result']>>();
  let granted: State = new Map();
  let allLookedAt = -Infinity;

  /** Of an account that is not granted just now nobody knows what its key file says: what it said last, if that is longer. */
  const keepOf = (path: string): SnapshotKeep => {
    const account = accountNamed(granted, accountOf(path));
    if (account) return account.snapshots ?? settings.SNAPSHOT_KEEP;
    return longestKeep([settings.SNAPSHOT_KEEP, ...lastKeepOf(state, path)]);
  };

  /** How long it is until the next snapshot of this repository is due. */
  const dueIn = (newest: number | undefined): number => {
    if (every === Infinity) return every;
    // After a clock that ran ahead was set back, the newest one is in the future.
    return newest === undefined ? 0 : Math.min(every, newest + every - clock.now());
  };

  const lookAt = async (path: string, isAsked: boolean, by?: Claim): Promise<Asked['result']> => {
    const isDue = due.delete(path) || isAsked;
    const found = keepOf(path) === 'no' ? 'off' : (readState(repos, path) ?? 'gone');
    if (found === 'off' || found === 'gone') return gone(path, found);
    if (holds.isHeld(accountOf(path))) {
      timers.set(path, HELD_MS, () => look(path));
      return { code: 'held', why: 'its files are being handed over or repaired' };
    }
    const folder = snapshotsOf(state, path);
    if (folder === null) return failed(path, { code: 'long-path', why: 'its path is too long' });
    if (!known.has(path)) known.note(path, folder);
    recording.check(path, folder);
    const newest = listSnapshots(folder).at(-1);
    if (newest && readAbout(newest)?.state === found) {
      recording.unchanged(path, newest.number, by);
      failing.over(path);
      return 'kept';
    }
    const left = isDue ? 0 : dueIn(newest?.at);
    timers.set(path, left > 0 ? left : Infinity, () => lookWhenDue(path));
    if (left > 0) return 'kept';
    const taken = recording.begin(path, by);
    const problem = await keepRepository(means, path, folder, { state: found, keep: keepOf(path) });
    // Without its `config`, for example: `status` says what is damaged.
    if (problem?.code === 'no-repository') return gone(path, 'gone');
    if (problem !== null) return failed(path, problem);
    await removeExpired(folder, keepOf(path), clock.now());
    known.note(path, folder);
    taken(folder);
    failing.over(path);
    return 'kept';
  };

  const gone = (path: string, how: 'off' | 'gone'): 'off' | 'gone' => {
    failing.forget(path);
    if (how === 'gone') recording.gone(path);
    return how;
  };

  const failed = (path: string, problem: { readonly code: string; readonly why: string }): Asked['result'] => {
    if (stopping.signal.aborted) return problem;
    failing.failed(path, problem);
    timers.set(path, AGAIN_MS, () => lookWhenDue(path));
    return problem;
  };

  const lookSafely = async (path: string, isAsked: boolean, by?: Claim): Promise<Asked['result']> => {
    try {
      return await lookAt(path, isAsked, by);
    } catch (error) {
      return failed(path, { code: isFull(error) ? 'no-space' : 'system', why: failureInOneLine(error) });
    }
  };

  /** @param path of a repository, or of the folder of an account */
  const look = (path: string): void =>
    turns.later(accountOf(path), `${path}/`, async () => {
      const found = repositoriesBelow(repos, path);
      for (const each of found) turns.later(accountOf(path), each, async () => void (await lookSafely(each, false)));
      const missing = path.includes('/') ? [] : known.of(path).filter((each) => !found.includes(each));
      for (const each of missing) recording.gone(each);
    });

  /** The clock of the snapshots may have been set back: so it is not asked again. */
  const lookWhenDue = (path: string): void => {
    due.add(path);
    look(path);
  };

  const lookAtAll = (): void => {
    allLookedAt = clock.steady();
    for (const name of foldersIn(repos)) look(name);
  };

  const noteAll = (path: string, folder: string): void => {
    known.note(path, folder);
    recording.look(path, folder);
  };

  const sweep = (isFirst: boolean): void =>
    removeOld({ state, keepOf, now: clock.now, onSeen: noteAll }, log, isFirst, (repository, work) =>
      turns.later(accountOf(repository), `${repository} ${SWEEP}`, work),
    );

  /** Whoever asks while somebody else waits for the same gets the same answer. */
  const soon = (path: string, by?: Claim): Promise<Asked['result']> => {
    if (by) return turns.soon(accountOf(path), () => lookSafely(path, true, by));
    const begun = asked.get(path);
    if (begun) return begun;
    const answer = turns.soon(accountOf(path), () => {
      asked.delete(path);
      return lookSafely(path, true);
    });
    asked.set(path, answer);
    return answer;
  };

  const keep: Keeper['keep'] = async (path, { holdFor, by } = {}) => {
    const results: Asked[] = [];
    for (const below of path === null ? foldersIn(repos) : [path])
      for (const repository of repositoriesBelow(repos, below))
        results.push({ repository, result: await soon(repository, by) });
    if (path !== null && holdFor !== undefined)
      await turns.soon(accountOf(path), async () => holds.holdFor(accountOf(path), holdFor));
    return results;
  };

  let hourly = { cancel: (): void => {} };
  return {
    begin: () => {
      void clearEnded(taking, state, log);
      sweep(true);
      hourly = clock.every(HOUR_MS, () => sweep(false));
      lookAtAll();
    },
    changed: (path, by) => {
      if (path !== null && by) recording.wrote(path, by);
      if (path !== null) return look(path);
      // Not after each session: 10,000 unchanged repositories shall cost little.
      const left = allLookedAt + Math.min(every, HOUR_MS) - clock.steady();
      if (left <= 0) lookAtAll();
      else if (!timers.has(ALL)) timers.set(ALL, left, lookAtAll);
    },
    keep,
    isAppendOnly: recording.isAppendOnly,
    wasPutBack: async (path, { number, transaction, former }) => {
      const to = transaction === null ? { number } : { transaction };
      const shown = { repository: printable(path, 200), ...to, former };
      const what = transaction === null ? 'as a snapshot has it' : 'as it was at a transaction';
      log.warn(shown, `a repository was put back ${what}, as it was asked`);
      const undo = transaction === null ? `undo to snapshot ${number}` : `undo to transaction ${transaction}`;
      recording.wrote(path, { kind: 'server', what: undo });
      await turns
        .soon(accountOf(path), async () => spare(snapshotsOf(state, path), former))
        .catch((error) => log.warn({ ...shown, error: failureInOneLine(error) }, 'the former state may go in a day'));
      return keep(path);
    },
    history: async (path, isSeen) => {
      // What is found from now on nobody can have seen.
      const seen = isSeen ? recording.last(path) : null;
      const result = (await keep(path)).find(({ repository }) => repository === path)?.result ?? 'gone';
      const { isWhole, ...history } = await recording.history(path, result === 'kept', seen);
      const notKept = typeof result === 'object' ? result : isWhole ? null : NOT_WRITTEN;
      return { ...history, notKept, isThere: result !== 'gone' };
    },
    remove: (path, which) =>
      turns.soon(accountOf(path), async () => {
        const folder = snapshotsOf(state, path);
        if (folder === null) return [];
        const removed = await removeChosen(folder, which);
        for (const number of removed)
          log.warn({ repository: printable(path, 200), number }, 'removed a snapshot, as it was asked');
        if (removed.length > 0) known.note(path, folder);
        return removed;
      }),
    // What is being taken just now is done first.
    without: (account, signal, work) => holds.during(account, turns.over(account), signal, work),
    granted: (next) => {
      granted = next;
    },
    list: () => known.list(failing, recording.unseen),
    close: async () => {
      hourly.cancel();
      timers.close();
      await Promise.all([recording.close(), turns.close(LAST_MS, () => stopping.abort())]);
      stopping.abort();
    },
  };
};
