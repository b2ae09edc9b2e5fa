import type { ProcessId } from './process.ts';
import type { Session } from './session.ts';

/** What keeps a session from doing what its client asked for, in the words of image/launcher/outcome.py and of a person. */
export const FAILURES = {
  'no-space': 'no space left on the disk',
  'disk-quota': 'a quota of the file system is used up',
  floor: 'less than MIN_FREE is left on the disk',
  quota: 'its storage quota is exceeded',
  'read-only': 'the disk is read-only',
  permission: 'permission denied: not all files are its account’s',
  io: 'the disk has an input or output error',
  path: 'it asked for a path that its account may not open',
  'lock-held': 'the lock of the repository was held by somebody else',
  'lock-broken': 'its lock was broken while it had it',
  memory: 'it needed more memory than SESSION_MEMORY allows',
  damaged: 'the repository is damaged',
  unseen: 'something in the repository looks like an attack, and nobody has looked at it: it is not compacted',
  refused: 'the server refused what it asked for',
  unexpected: 'borg failed unexpectedly',
} as const;

export type Failure = keyof typeof FAILURES;

/** One thing that a session said of itself: a label. The kernel says whose it is. */
export type Outcome = {
  /** Of the process that said it. */
  readonly uid: number;
  /** The root process of its connection, if it is a session at all. For a session that the session host has forked: that session itself. */
  readonly process: ProcessId;
  readonly what: Failure | 'well';
  /** It was writing, or has written. */
  readonly wrote: boolean;
  /** Of the repository, below /repos, as the session says: hostile text. */
  readonly path: string;
};

const FORM = /^(\d{1,10}) (\d{1,10}) (\d{1,20}) ([a-z-]{1,20}) ([rw]) (.*)$/s;

const isKnown = (word: string): word is Outcome['what'] => word === 'well' || Object.hasOwn(FAILURES, word);

/** Reads a line that image/session-ends wrote, without its line end; null where it is no such line, or its word is not known. */
export const parseOutcome = (line: string): Outcome | null => {
  const [, uid, pid, start, word = '', mode, path = ''] = FORM.exec(line) ?? [];
  if (!isKnown(word)) return null;
  return {
    uid: Number(uid),
    process: { pid: Number(pid), start: Number(start) },
    what: word,
    wrote: mode === 'w',
    path,
  };
};

/** How deep below /repos a repository may be, and how long a path may be that is remembered. */
const MOST_PARTS = 5;
const MOST_CHARACTERS = 500;

/**
 * The repository, below /repos, that a session speaks of. It is never one of another account. Null where there is none: only for an admin, who
 * has no repository of its own.
 */
export const repositoryOf = (
  { path }: Pick<Outcome, 'path'>,
  { account, role, subRepositories }: Pick<Session, 'account' | 'role' | 'subRepositories'>,
): string | null => {
  const parts = path.split('/');
  const plain =
    path.length <= MOST_CHARACTERS &&
    parts.length <= MOST_PARTS &&
    parts.every((part) => part !== '' && !part.startsWith('.'));
  if (role === 'admin') return plain ? path : null;
  return plain && subRepositories && parts[0] === account ? path : account;
};
