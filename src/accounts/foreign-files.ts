import { printable } from '../text/printable.ts';
import { errorAt, type Finding } from './finding.ts';
import type { ForeignTrace, RepositoryFolder } from './repository-folder.ts';

/**
 * Whether what is not the account's in its repository may be handed over by itself: not while a borg of root's is at work there, whose
 * next files would be root's again, and not what is somebody's elsewhere, too.
 */
export const mayBeHandedOver = ({ lockedSince, linked }: ForeignTrace): boolean => lockedSince === null && !linked;

/**
 * What is told of repositories with files that are not their account's, where they are not handed over. It grants and closes nothing.
 *
 * @param accounts repository accounts that are declared
 * @param puid the admins': a folder of theirs without an account is their repository
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
        `run borg by: borgserver borg … ${name}; what it leaves is handed over when it has ended. If none runs any more: borgserver doctor --fix, then: borgserver borg break-lock ${name}`,
      );

/** What a file system keeps of a file's time may be beyond every date, and an admin may set that of its own: then nothing is said. */
const sinceText = (milliseconds: number): string => {
  const since = new Date(milliseconds);
  return Number.isNaN(since.getTime()) ? '' : `, since ${since.toISOString()}`;
};

/** Here an admin's client has chosen the name, and a cure is there to be pasted. */
const adminsOwn = ({ name, uid, gid }: RepositoryFolder, { text }: ForeignTrace): Finding =>
  found(
    name,
    `files in it are not the admins': ${text}`,
    /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)
      ? `see that nobody uses it, then: chown -hR ${uid}:${gid} /repos/${name}`
      : 'see that nobody uses it, then: borgserver doctor, which prints the command for a name like this',
  );

/** A handing over that failed: the account keeps what it has. */
export const notHandedOver = (name: string, why: string): Finding =>
  found(
    name,
    `files in it are not its account's, and could not be handed over: ${why}`,
    'see that /repos is writable and can change owners; the next update tries again',
  );
