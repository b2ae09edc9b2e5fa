import { isKept } from './kept-file.ts';

/** One entry directly below /repos, as lstat saw it. Dotfiles are not listed. */
export type RepositoryFolder = {
  readonly name: string;
  /** 'other' is a link, a file, a device: never used, never followed. */
  readonly kind: 'folder' | 'other';
  readonly uid: number;
  readonly gid: number;
  /** Permission bits with setuid, setgid and sticky: mode & 0o7777. */
  readonly mode: number;
  /** Whether there is anything in it. Left out if nobody looked. */
  readonly filled?: boolean;
  /** Milliseconds since the epoch: the last time that an entry in it was made or removed, or its owner or mode changed. */
  readonly changed?: number;
  /** What is not its owner's, from a look at a part of it. Left out if there is nothing such, or nobody looked. */
  readonly foreign?: ForeignTrace;
};

/** Files of root's, or of somebody else's, in a repository: borg leaves them when root runs it. The account cannot use them. */
export type ForeignTrace = {
  /** The first few with their owners; printable. */
  readonly text: string;
  /** Milliseconds since the epoch: since when a borg that is not the account's holds the lock. Null: none does. */
  readonly lockedSince: number | null;
  /** Everything that was found has a second name somewhere. It may be somebody else's file, so it is not handed over unless somebody asks for it. */
  readonly linked: boolean;
};

/** The mode of a repository folder: for the account and its private group. New files below inherit the group. */
export const REPOSITORY_MODE = 0o2770;

export type Owner = { readonly uid: number; readonly gid: number };

/**
 * Whether an entry of a repository belongs to root, or neither to its owner nor to its group. An admin's files have the group, and so have root's
 * that snapshots share. Only root can make a foreign entry, except by a hard link to somebody else's file.
 *
 * @param found as stat(2) has it
 */
export const isForeign = (found: Owner & { readonly mode: number }, owner: Owner): boolean =>
  found.uid !== owner.uid && ((found.uid === 0 && !isKept(found)) || found.gid !== owner.gid);
