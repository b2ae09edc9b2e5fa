import type { Role } from '../accounts/role.ts';
import { readRecords, readSeen, type Writer } from './change-record.ts';
import type { SnapshotLog } from './failing.ts';
import { accountOf } from './folders.ts';
import { createHistorian } from './historian.ts';
import type { Claim, History } from './kept-states.ts';
import { readState } from './repository-state.ts';
import { listSnapshots, snapshotsOf } from './store.ts';
import { createTurns } from './turns.ts';

type Recorded = Pick<History, 'records' | 'seen' | 'acknowledged'> & { readonly isWhole: boolean };

type Options = {
  readonly python: string;
  readonly places: { readonly repos: string; readonly state: string };
  readonly log: SnapshotLog;
  readonly now: () => number;
  /** Of the account of a repository; null: it is not granted now. */
  readonly roleOf: (path: string) => Role | null;
  /** Who has a session of this account now. Undefined: nothing is written down. */
  readonly connected: ((account: string) => readonly Writer[]) | undefined;
};

/** Beside that of the snapshots: it waits in the same queue. */
const GONE = '.gone';

/**
 * Has what happens written down, one thing after another, in a queue of its own: that may take minutes, and no snapshot waits for it.
 */
export const createRecording = ({ python, places: { repos, state }, log, now, roleOf, connected }: Options) => {
  const stopping = new AbortController();
  const turns = createTurns();
  const connectedNow = connected ?? (() => []);
  const historian = createHistorian({
    ...{ python, log, now, signal: stopping.signal },
    connected: connectedNow,
  });
  const isAppendOnly = (path: string): boolean => roleOf(path) === 'append-only';
  const record = (path: string, folder: string): Promise<void> => historian.record(path, folder, roleOf(path));
  /** Of an account that is granted no more, the operator may have removed the repository, too. */
  const recordIfGone = async (path: string): Promise<void> => {
    const folder = snapshotsOf(state, path);
    if (folder !== null && roleOf(path) !== null && readState(repos, path) === null) historian.gone(path, folder);
  };
  const later = (path: string, name: string, work: () => Promise<void>): void => {
    if (connected) turns.later(accountOf(path), name, () => work().catch((error) => historian.failed(path, error)));
  };
  return {
    wrote: (path: string, by: Writer): void => {
      // An admin's session tells of each commit there (questions.ts). What it says at its end is not what has changed since.
      const isTold = by.kind === 'session' && by.role === 'admin' && isAppendOnly(path);
      const writer = isTold ? { ...by, wrote: false } : by;
      historian.wrote(accountOf(path), by.kind === 'server' || path.includes('/') ? path : null, writer);
    },
    isAppendOnly,
    /**
     * Call it before a snapshot is begun, and what it returns once that is there: whoever has written until then belongs to it.
     *
     * @param by who says that it has done all of it
     */
    begin: (path: string, by?: Claim): ((folder: string) => void) => {
      const [until, there] = [historian.turn(), connectedNow(accountOf(path))];
      return (folder) => {
        historian.taken(path, { number: listSnapshots(folder).at(-1)?.number ?? 0, until, there, by });
        later(path, path, () => record(path, folder));
      };
    },
    unchanged: historian.unchanged,
    /** Its newest snapshot may not be recorded: the server may have ended before. */
    check: (path: string, folder: string): void => {
      if (!historian.hasChecked(path)) later(path, path, () => record(path, folder));
    },
    /** It seems to be gone. */
    gone: (path: string): void => later(path, `${path} ${GONE}`, () => recordIfGone(path)),
    /** The id of the newest record; 0 where there is none. */
    last: (path: string): number => {
      const folder = snapshotsOf(state, path);
      return folder === null ? 0 : (readRecords(folder).at(-1)?.id ?? 0);
    },
    /**
     * @param isThere whether it is a repository just now
     * @param until the operator has looked up to this record. Null: he has not said so
     * @returns also whether the newest snapshot is in it
     */
    history: async (path: string, isThere: boolean, until: number | null): Promise<Recorded> => {
      const folder = snapshotsOf(state, path);
      if (folder === null) return { records: [], seen: 0, acknowledged: 0, isWhole: true };
      return turns.soon(accountOf(path), async () => {
        await (isThere ? record(path, folder) : recordIfGone(path)).catch((error) => historian.failed(path, error));
        const seen = readSeen(folder);
        if (until !== null) historian.seen(path, folder, until);
        const records = readRecords(folder).toReversed();
        const recorded = records.find(({ snapshot }) => snapshot !== null)?.snapshot ?? 0;
        const isWhole = recorded >= (listSnapshots(folder).at(-1)?.number ?? 0);
        return { records, seen, acknowledged: Math.max(seen, until ?? 0), isWhole };
      });
    },
    look: historian.look,
    unseen: historian.unseen,
    /** What is just counted is counted anew by the next server. */
    close: async (): Promise<void> => {
      stopping.abort();
      await turns.close(0, () => {});
    },
  };
};
