/** One entry directly below /repos, as lstat saw it. Dotfiles are not listed. */
export type RepositoryFolder = {
  readonly name: string;
  /** 'other' is a link, a file, a device: never used, never followed. */
  readonly kind: 'folder' | 'other';
  readonly uid: number;
  readonly gid: number;
  /** Permission bits with setuid, setgid and sticky: mode & 0o7777. */
  readonly mode: number;
  /** Whether there is anything in it; left out where that was not looked at. */
  readonly filled?: boolean;
  /** Milliseconds since the epoch: when an entry of it was last made or removed, or its owner or mode changed. */
  readonly changed?: number;
  /** What is not its owner's, as a look at some of it tells; left out: nothing is, or it was not looked at. */
  readonly foreign?: ForeignTrace;
};

/** Files of root's, or of somebody else's, in a repository: what borg leaves that is run as root. Its account cannot use them. */
export type ForeignTrace = {
  /** The first few with their owners; printable. */
  readonly text: string;
  /** Milliseconds since the epoch: since when a borg that is not its account's holds the lock; null: none does. */
  readonly lockedSince: number | null;
  /** All that was found has a second name somewhere: it may be somebody else's file, and is not handed over unasked. */
  readonly linked: boolean;
};

/** The mode of a repository folder: the account and its private group; new files below inherit the group. */
export const REPOSITORY_MODE = 0o2770;

export type Owner = { readonly uid: number; readonly gid: number };

/**
 * Whether an entry of a repository is root's, or neither its owner's nor its group's. An admin's files have the group. Nobody but root makes
 * such a thing, except by a hard link to somebody else's file.
 */
export const isForeign = ({ uid, gid }: Owner, owner: Owner): boolean =>
  uid !== owner.uid && (uid === 0 || gid !== owner.gid);
