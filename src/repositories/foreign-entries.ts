import { execa } from 'execa';
import { KEPT_MODE } from '../accounts/kept-file.ts';
import { NOBODYS_FOLDERS } from '../accounts/nobodys.ts';
import { failure } from '../failure.ts';
import { printable } from '../text/printable.ts';

/** What in a repository folder is not as its account needs it. */
export type ForeignEntries = {
  readonly count: number;
  /** How many of them belong to root: borg leaves them when it runs as root, and the account can no longer use them. */
  readonly roots: number;
  /** The first few, in words fit for a terminal: path below the folder, owner and mode. */
  readonly examples: readonly string[];
};

/** Entries of the file system itself, in a repository that is a mount of its own. None of the names is a pattern. */
const LEFT_OUT = [
  ...['-type', 'd', '('],
  ...NOBODYS_FOLDERS.flatMap((name) => ['-o', '-name', name]).slice(1),
  ...[')', '-prune', '-o'],
];

/** What snapshots share (isKept). */
const KEPT = ['-type', 'f', '-uid', '0', '-perm', `0${KEPT_MODE.toString(8)}`];

const EXAMPLES = 3;
/** For one folder. A million files on a slow disk take some minutes, and its account can make more than that without end. */
const PATIENCE_MS = 15 * 60_000;

/**
 * Looks through a whole folder (two files for each GB) with find(1), which follows no link. An entry is right if it belongs to
 * the account or the admins, and to the account's group, and if both may read and write it. Folders must hand their group on. What snapshots share
 * is right, too, if it has the group.
 *
 * What a file system keeps there for itself (lost+found) is left out. The modes of a lock are not checked: borg makes its folder 0700, and the
 * launcher opens it a moment later.
 *
 * @throws execa's error where find cannot be run; Error with cause `{ code: 'too-much', path }` where it takes a quarter of an
 *   hour; what vanishes meanwhile is no error
 */
export const findForeignEntries = async (path: string, uid: number, puid: number): Promise<ForeignEntries> => {
  const kept = ['!', '(', ...KEPT, '-gid', String(uid), ')'];
  const owner = ['(', '!', '-uid', String(uid), '!', '-uid', String(puid), ')', '-o', '!', '-gid', String(uid)];
  const mode = ['-type', 'd', '!', '-perm', '-2770', '-o', '-type', 'f', '!', '-perm', '-0660'];
  return collect(path, [...kept, '(', ...owner, '-o', '(', '!', '-name', 'lock.*', '(', ...mode, ')', ')', ')']);
};

/** The same for a repository that an admin made: everything belongs to the admins' uid. */
export const findForeignOwners = async (path: string, puid: number, pgid: number): Promise<ForeignEntries> =>
  collect(path, ['!', '-uid', String(puid), '!', '(', ...KEPT, '-gid', String(pgid), ')']);

const collect = async (path: string, condition: readonly string[]): Promise<ForeignEntries> => {
  const find = execa('find', ['-P', path, '-xdev', ...LEFT_OUT, '(', ...condition, ')', '-printf', '%U:%G %m %P\\0'], {
    reject: false,
    timeout: PATIENCE_MS,
    stdin: 'ignore',
    stderr: 'ignore',
    buffer: false,
    encoding: 'buffer',
  });
  let [count, roots, rest] = [0, 0, ''];
  const examples: string[] = [];
  for await (const chunk of find.iterable({ binary: true, preserveNewlines: true })) {
    const records = `${rest}${Buffer.from(chunk).toString('utf8')}`.split('\0');
    rest = records.pop() ?? '';
    for (const record of records) {
      count += 1;
      if (record.startsWith('0:')) roots += 1;
      if (examples.length < EXAMPLES) examples.push(inWords(record));
    }
  }
  if ((await find).timedOut) throw failure('there is too much in it to be looked through', { code: 'too-much', path });
  return { count, roots, examples };
};

const inWords = (record: string): string => {
  const [owner = '', mode = '', ...path] = record.split(' ');
  return `${printable(path.join(' ') || '.')} (${owner}, ${mode})`;
};
