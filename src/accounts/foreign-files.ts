import { printable } from '../text/printable.ts';
import { errorAt, type Finding } from './finding.ts';
import type { ForeignTrace, RepositoryFolder } from './repository-folder.ts';

/**
 * Whether the server may hand over by itself what is not the account's in its repository. Not while a borg of root's works there: its
 * next files would be root's again. And not a file that has a second name elsewhere: it may belong to somebody there.
 */
export const mayBeHandedOver = ({ lockedSince, linked }: ForeignTrace): boolean => lockedSince === null && !linked;

/**
 * Findings about repositories with files that are not their account's and are not handed over. A finding grants nothing and closes nothing.
 *
 * @param accounts repository accounts that are declared
 * @param puid the uid of the admins: a folder of theirs without an account is their repository
 */
export const foreignFindings = (
  folders: readonly RepositoryFolder[],
  accounts: ReadonlySet<string>,
  puid: number,
): readonly Finding[] =>
  folders.flatMap((folder) => {
    const { name, foreign, uid } = folder;
    if (!foreign) return [];
    if (accounts.has(name)) return mayBeHandedOver(foreign) ? [] : [waits(name, foreign)];
    return uid === puid ? [adminsOwn(folder, foreign)] : [];
  });

const found = (name: string, message: string, remedy: string): Finding =>
  errorAt(`/repos/${printable(name)}`, 'foreign-owners', message, remedy);

const waits = (name: string, { text, lockedSince }: ForeignTrace): Finding =>
  lockedSince === null
    ? found(
        name,
        `files in it are not its account's, and each has a second name elsewhere: ${text}`,
        'see whose they are; if they belong there: borgserver doctor --fix',
      )
    : found(
        name,
        `a borg that is not its account's works in it${sinceText(lockedSince)}; its clients cannot use what that writes: ${text}`,
        `run borg with: borgserver borg … ${name}; what it leaves is handed over when it has ended. If none runs any more: borgserver doctor --fix, then: borgserver borg break-lock ${name}`,
      );

/** A file system may hold a time that is beyond every date, and an admin may set such a time. Then nothing is said of the time. */
const sinceText = (milliseconds: number): string => {
  const since = new Date(milliseconds);
  return Number.isNaN(since.getTime()) ? '' : `, since ${since.toISOString()}`;
};

const adminsOwn = ({ name }: RepositoryFolder, { text }: ForeignTrace): Finding =>
  found(name, `files in it are not the admins': ${text}`, 'see that nobody uses it, then: borgserver doctor --fix');

/** Files could not be handed over: the account keeps what it has. */
export const notHandedOver = (name: string, why: string): Finding =>
  found(
    name,
    `files in it are not its account's, and could not be handed over: ${why}`,
    'see that /repos is writable and can change owners; the next update tries again',
  );
