import type { State } from '../accounts/account.ts';
import type { ChangeRecord, MarkOfChange, Writer } from './change-record.ts';
import type { Failing } from './failing.ts';
import type { NotDone } from './program.ts';

/** The snapshots of one repository, for `status`. */
export type KeptStates = {
  /** Its path below /repos. */
  readonly repository: string;
  readonly count: number;
  /** When the newest was taken: milliseconds since the epoch. Null: there is none. */
  readonly newest: number | null;
  /** Bytes on the disk that the older ones hold, and the newest does not. */
  readonly olderHold: number;
  /** Whether nobody but root can change them. Null: nobody knows. */
  readonly protected: boolean | null;
  /** What looks like an attack, and nobody has looked at yet, the oldest first. */
  readonly marked: readonly { readonly at: number; readonly marks: readonly MarkOfChange[] }[];
  /** Why none can be taken just now. Null: they can. */
  readonly failing: Failing | null;
};

/** Who says that it has done what is new: an admin, and nobody knows which of those who have a session; or a command at the server. */
export type Claim = 'admins' | Extract<Writer, { readonly kind: 'server' }>;

/** What became of a repository that somebody asked to keep. */
export type Asked = {
  readonly repository: string;
  /** 'kept': its present state has a snapshot. 'off': its account has none. 'gone': no repository is there. Else why there is no snapshot. */
  readonly result: 'kept' | 'off' | 'gone' | NotDone;
};

/** What has happened to a repository. */
export type History = {
  /** The newest first. */
  readonly records: readonly ChangeRecord[];
  /** Up to which of them the operator has looked: its id; 0 for none. */
  readonly seen: number;
  /** Why the present state is not in it. Null: it is, or there is none. */
  readonly notKept: NotDone | null;
  /** Whether it is a repository just now. */
  readonly isThere: boolean;
  /** Up to which of them the operator has looked from now on. */
  readonly acknowledged: number;
};

export type Keeper = {
  /** Looks at all repositories once, and removes what is too old: now, and every hour. */
  readonly begin: () => void;
  /** Somebody may have changed a repository, or one in the folder of an account. Null: nobody knows which. `by`: who, where that is known. */
  readonly changed: (path: string | null, by?: Writer) => void;
  /**
   * What has happened to a repository, the newest first: its present state is kept for that. `isSeen`: the operator has looked at all of it that was
   * written down until now.
   */
  readonly history: (path: string, isSeen: boolean) => Promise<History>;
  /**
   * Keeps the present state of a repository, or of all in the folder of an account; null: of all.
   *
   * @param more.holdFor the PID of a process: as long as it lives, no further snapshot is taken in this account's folder
   * @param more.by who alone has changed it since it was kept the last time
   */
  readonly keep: (
    path: string | null,
    more?: { readonly holdFor?: number | undefined; readonly by?: Claim | undefined },
  ) => Promise<readonly Asked[]>;
  /** Whether it belongs to an append-only account: what its client deletes is told by that alone that nobody else has deleted anything. */
  readonly isAppendOnly: (path: string) => boolean;
  /**
   * Tells that a repository was put back as a snapshot has it, and keeps its state.
   *
   * @param which.number of that snapshot
   * @param which.transaction until which it has what that had; null: all of it
   * @param which.former of the one that has what was there until then, which stays longer; null: none
   */
  readonly wasPutBack: (
    path: string,
    which: { readonly number: number; readonly transaction: number | null; readonly former: number | null },
  ) => Promise<readonly Asked[]>;
  /** Removes snapshots of a repository: those with these numbers, all but the newest, or all. Resolves with the numbers of those that are gone. */
  readonly remove: (path: string, which: readonly number[] | 'older' | 'all') => Promise<readonly number[]>;
  /**
   * Does `work` while no snapshot is taken in the folder of this account, and none is being taken any more.
   *
   * @param signal ends the waiting: a disk that does not answer must not keep the next pass away
   */
  readonly without: <T>(account: string, signal: AbortSignal, work: () => Promise<T>) => Promise<T>;
  /** Takes what is granted from now on: accounts have directives. */
  readonly granted: (state: State) => void;
  readonly list: () => readonly KeptStates[];
  readonly close: () => Promise<void>;
};
