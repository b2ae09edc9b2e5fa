import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Role } from '../accounts/role.ts';
import { readIdentity } from '../borg/repository-identity.ts';
import { isNonceSpent } from '../borg/repository-state.ts';
import { failureInOneLine } from '../failure.ts';
import { inFolder } from '../system/folder-handle.ts';
import { printable } from '../text/printable.ts';
import { readAbout } from './about.ts';
import { type Compared, MARK_TEXTS, marksOfChange } from './change-marks.ts';
import {
  type ChangeRecord,
  readRecords,
  readSeen,
  type Told,
  toldFormat,
  type Writer,
  writeRecords,
  writeSeen,
} from './change-record.ts';
import type { SnapshotLog } from './failing.ts';
import { accountOf } from './folders.ts';
import type { Claim } from './kept-states.ts';
import { askSnapshotProgram } from './program.ts';
import { listSnapshots, type Snapshot } from './store.ts';

/** Of one account: each writer and repository once, with the turn in which it was noted last. */
type Notes = Map<string, { readonly writer: Writer; readonly repository: string | null; readonly turn: number }>;

/** Who may have changed a repository until this snapshot of it. */
type Waiting = { readonly number: number; readonly writers: readonly Writer[] };

/** A snapshot: the turn in which it was begun, and who had a session then. */
type Taken = {
  readonly number: number;
  readonly until: number;
  readonly there: readonly Writer[];
  readonly by?: Claim | undefined;
};

/** So many are in one record, and so many notes of one account are remembered. */
const MOST_WRITERS = 20;
const MOST_NOTES = 200;
const MOST_WAITING = 20;
const PATIENCE_MS = 15 * 60_000;
const UNCOUNTED: Told = { objects: null, counted: null, unknown: null };

type Options = {
  /** borg's interpreter. */
  readonly python: string;
  readonly log: SnapshotLog;
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Who has a session of this account now, or one of an admin's. */
  readonly connected: (account: string) => readonly Writer[];
};

/** Writes down what has happened in repositories, from one snapshot to the next. */
export const createHistorian = ({ python, log, signal, now, connected }: Options) => {
  const notes = new Map<string, Notes>();
  /** Up to which turn the notes are in a snapshot of this repository. */
  const taken = new Map<string, number>();
  /** Of snapshots that are not recorded yet. */
  const waiting = new Map<string, readonly Waiting[]>();
  const checked = new Set<string>();
  const unseen = new Map<string, readonly ChangeRecord[]>();
  let turn = 0;

  /**
   * @param until the turn before the snapshot was begun: what somebody says later is in the next one
   * @param there who had a session then: it may have ended meanwhile
   */
  const writersOf = (path: string, until: number, there: readonly Writer[] = []): readonly Writer[] => {
    const last = taken.get(path) ?? 0;
    const done = [...(notes.get(accountOf(path))?.values() ?? [])].filter(
      (each) => each.turn > last && each.turn <= until && (each.repository === null || each.repository === path),
    );
    const all = [...there, ...connected(accountOf(path)), ...done.map(({ writer }) => writer)];
    return different(all).slice(-MOST_WRITERS);
  };

  const count = async (before: Snapshot, after: Snapshot, known: number | null): Promise<Told | null> => {
    const folders = [before, after].map(({ path }) => join(path, 'repository'));
    const words = ['changes', ...folders, String(known ?? -1)];
    const told = await askSnapshotProgram(python, words, toldFormat, { signal, patience: PATIENCE_MS });
    if (!('code' in told)) return told;
    // It is counted anew later: the server stops, or somebody has removed one of the two.
    const isOver = told.code === 'stopping' || !folders.every((each) => existsSync(each));
    return isOver ? null : { ...UNCOUNTED, unknown: told.why };
  };

  const write = (path: string, folder: string, record: Omit<ChangeRecord, 'id'>): void => {
    const { snapshot, by, marks } = record;
    const before = readRecords(folder);
    const all = [...before, { id: Math.max(before.at(-1)?.id ?? 0, readSeen(folder)) + 1, ...record }];
    writeRecords(folder, all);
    const left = (waiting.get(path) ?? []).filter(({ number }) => snapshot !== null && number > snapshot);
    waiting.set(path, left);
    look(path, folder, all);
    if (marks.length > 0)
      log.warn(
        { repository: printable(path, 200), snapshot, by, why: marks.map((each) => MARK_TEXTS[each]) },
        'what was done in a repository looks like an attack; `borgserver history` shows it',
      );
  };

  const look = (path: string, folder: string, records = readRecords(folder)): void => {
    const seen = readSeen(folder);
    unseen.set(
      path,
      records.filter(({ id, marks }) => id > seen && marks.length > 0),
    );
  };

  const recordOne = async (
    path: string,
    folder: string,
    role: Role | null,
    all: readonly Snapshot[],
    after: Snapshot,
  ): Promise<boolean> => {
    const last = lastOf(readRecords(folder));
    // The one that was recorded last may have been removed meanwhile.
    const before =
      all.findLast(({ number }) => number < after.number && number <= (last?.snapshot ?? Infinity)) ?? null;
    const sinceTransaction = (before && readAbout(before)?.transaction) ?? null;
    const told = before ? await count(before, after, last?.sinceTransaction ?? sinceTransaction) : UNCOUNTED;
    if (told === null) return false;
    // Who has done it may have been said only meanwhile.
    const until = (waiting.get(path) ?? []).filter(({ number }) => number <= after.number);
    const by = [...different(until.flatMap(({ writers }) => writers)).slice(-MOST_WRITERS)];
    const states = before && { before: describe(before), after: describe(after) };
    const marks = states ? [...marksOfChange({ ...told, ...states, by, role })] : [];
    const place = { snapshot: after.number, before: before?.number ?? null, at: after.at, since: before?.at ?? null };
    write(path, folder, { ...told, ...place, sinceTransaction, by, marks });
    return true;
  };

  return {
    /** @param repository its path below /repos; null: one of its account, and nobody knows which */
    wrote: (account: string, repository: string | null, writer: Writer): void => {
      turn += 1;
      const of: Notes = notes.get(account) ?? new Map();
      const key = JSON.stringify([repository, writer]);
      of.delete(key);
      of.set(key, { writer, repository, turn });
      const [oldest] = of.keys();
      if (of.size > MOST_NOTES && oldest !== undefined) of.delete(oldest);
      notes.set(account, of);
    },
    /** A snapshot of it was just taken: whoever may have changed it until then belongs to that. */
    taken: (path: string, { number, until, there, by }: Taken): void => {
      const writers = claimedBy(by, writersOf(path, until, there));
      const all = [...(waiting.get(path) ?? []), { number, writers }];
      waiting.set(path, all.slice(-MOST_WAITING));
      taken.set(path, until);
    },
    /**
     * It is as its newest snapshot has it: whoever has written until now did not do what comes.
     *
     * @param number of that snapshot
     * @param by who says that it has done what is new in it: it was taken before that could be said
     */
    unchanged: (path: string, number: number, by?: Claim): void => {
      const all = waiting.get(path) ?? [];
      const claimed = all.map((each) =>
        each.number === number
          ? { number, writers: claimedBy(by, [...each.writers, ...connected(accountOf(path))]) }
          : each,
      );
      if (by) waiting.set(path, claimed);
      taken.set(path, turn);
    },
    /** The turn of what was noted last. */
    turn: (): number => turn,
    look,
    /**
     * Records what has happened until the newest snapshot, from one to the next, as far as that is not recorded yet.
     *
     * @param folder of the snapshots
     * @param role of its account
     */
    record: async (path: string, folder: string, role: Role | null): Promise<void> => {
      checked.add(path);
      const [all, records] = [listSnapshots(folder), readRecords(folder)];
      const pending = unrecorded(all, lastOf(records));
      if (pending.length === 0) return look(path, folder, records);
      for (const after of pending) if (!(await recordOne(path, folder, role, all, after))) return;
    },
    /** It is no repository any more, though it has snapshots. */
    gone: (path: string, folder: string): void => {
      const last = readRecords(folder).at(-1);
      const newest = listSnapshots(folder).at(-1);
      if (!newest || last?.marks.includes('destroyed')) return;
      const place = { snapshot: null, before: newest.number, at: now(), since: newest.at, sinceTransaction: null };
      write(path, folder, { ...UNCOUNTED, ...place, by: [...writersOf(path, turn)], marks: ['destroyed'] });
      taken.set(path, turn);
    },
    /** @throws that it cannot be written down */
    seen: (path: string, folder: string, until: number): void => {
      writeSeen(folder, Math.max(until, readSeen(folder)));
      look(path, folder);
    },
    /** Whether it has looked since it began if the newest snapshot of this one is recorded. */
    hasChecked: (path: string): boolean => checked.has(path),
    /** The marked records at which nobody has looked, the oldest first. */
    unseen: (path: string): readonly ChangeRecord[] => unseen.get(path) ?? [],
    failed: (path: string, error: unknown): void =>
      log.warn(
        { repository: printable(path, 200), error: failureInOneLine(error) },
        'what has happened in a repository could not be written down',
      ),
  };
};

const lastOf = (records: readonly ChangeRecord[]): ChangeRecord | undefined =>
  records.findLast(({ snapshot }) => snapshot !== null);

/** The first record of all is that of the newest one, and so it is where all were removed, since their numbers begin again. */
const unrecorded = (all: readonly Snapshot[], last: ChangeRecord | undefined): readonly Snapshot[] => {
  const newest = all.at(-1);
  if (!newest || (last?.snapshot === newest.number && last.at === newest.at)) return [];
  const since = last?.snapshot ?? Infinity;
  return since < newest.number ? all.filter(({ number }) => number > since) : [newest];
};

/** An admin's session is believed only about the admins: others may have written all the same, if it was taken over. */
const claimedBy = (by: Claim | undefined, writers: readonly Writer[]): readonly Writer[] => {
  if (by === undefined) return writers;
  if (by !== 'admins') return [by];
  const claimed = writers.map((each) =>
    each.kind === 'session' && each.role === 'admin' ? { ...each, wrote: true } : each,
  );
  return different(claimed).slice(-MOST_WRITERS);
};

/** Each once: that one was connected says nothing new where it has written. */
const different = (writers: readonly Writer[]): readonly Writer[] => {
  const wrote = (each: Writer): boolean => each.kind === 'session' && each.wrote;
  const inOrder = writers.toSorted((one, other) => Number(wrote(one)) - Number(wrote(other)));
  return [...new Map(inOrder.map((each) => [JSON.stringify({ ...each, wrote: null }), each])).values()];
};

const describe = (snapshot: Snapshot): Compared =>
  inFolder(join(snapshot.path, 'repository'), (folder) => ({
    ...readIdentity(folder),
    nonceSpent: isNonceSpent(folder),
  })) ?? { id: null, key: null, nonceSpent: false };
