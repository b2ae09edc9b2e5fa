import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Account, GrantedKey } from '../accounts/account.ts';
import { parseLine, renderLine } from '../accounts/authorized-key-line.ts';
import { sameOptions } from '../accounts/narrow.ts';
import { loginGroup } from '../accounts/role.ts';
import { readOwnFile } from '../system/plain-file.ts';
import { keepFolderOpenToRead } from './open-folder.ts';
import { makeFile, writeFileAtomically } from './write.ts';

/**
 * sshd opens an AuthorizedKeysFile outside the home with the account's rights, and StrictModes wants it to be root's. So the account reads it by a
 * group. Nobody else can read whose keys these are, from where they are accepted, and what their comments say.
 */
const MODE = 0o640;

/**
 * The group by which sshd reads an account's keys. For a repository account it is its private group: only the account and the admins are in it. All
 * admins are one Unix user, and have their own group. Where all accounts are one Unix user, only their role keeps them apart.
 */
export const readersGroup = (account: Pick<Account, 'role' | 'uid' | 'subRepositories'>, shared = false): number =>
  shared || account.role === 'admin' ? loginGroup(account).gid : account.uid;

/** What one account's file says: one line a key, each beginning with `restrict`. */
export const renderAuthorizedKeys = (account: Account): string =>
  account.keys
    .map(
      (key) => `${renderLine(key)}
`,
    )
    .join('');

/** The keys that a file grants. Lines that the server did not write are left out: they count as drift, and the next write removes them. */
export const parseAuthorizedKeys = (text: string, gid: number): AuthorizedKeysFile => ({
  ...{ text, gid },
  keys: text.split('\n').flatMap((line) => parseLine(line) ?? []),
});

export type AuthorizedKeysFile = {
  readonly text: string;
  readonly keys: readonly GrantedKey[];
  /** The group that may read it. */
  readonly gid: number;
};

/** Each file by account name. Null where it is not a plain file of root's with the right mode. */
export type AuthorizedKeysFiles = ReadonlyMap<string, AuthorizedKeysFile | null>;

/**
 * The folder of sshd's authorized keys, one file for each account. Reading remembers each file by inode, times and size, so that
 * a pass without changes costs one lstat for each file.
 */
export const authorizedKeysFolder = (folder: string) => {
  const known = new Map<string, AuthorizedKeysFile & { readonly version: string }>();

  const readOne = (name: string): AuthorizedKeysFile | null => {
    const path = join(folder, name);
    const seen = lstatSync(path, { throwIfNoEntry: false });
    if (!seen?.isFile() || seen.uid !== 0 || (seen.mode & 0o7777) !== MODE) return null;
    const version = `${seen.ino} ${seen.mtimeMs} ${seen.ctimeMs} ${seen.size}`;
    const earlier = known.get(name);
    if (earlier?.version === version) return earlier;
    const found = readOwnFile(path);
    const text = found.kind === 'file' ? found.text : '';
    const file = earlier?.text === text ? { ...earlier, gid: seen.gid } : parseAuthorizedKeys(text, seen.gid);
    // If it is written again within one tick of the clock, it looks the same. So only a file that has been still for a while is remembered.
    const settled = Date.now() - seen.ctimeMs > 2000;
    known.set(name, { ...file, version: settled ? version : '' });
    return file;
  };

  /** A file that cannot be read is written again. It must not hold up what the others need. */
  const readOrNull = (name: string): AuthorizedKeysFile | null => {
    try {
      return readOne(name);
    } catch {
      return null;
    }
  };

  return {
    /** Every file that is there, ours or not. Dotfiles are unfinished writes and are left out. */
    read: (): AuthorizedKeysFiles => {
      keepFolderOpenToRead(folder);
      const names = readdirSync(folder).filter((name) => !name.startsWith('.'));
      return new Map(names.map((name) => [name, readOrNull(name)]));
    },

    /**
     * Replaces one account's file. Where that fails, the old file stays if it grants nothing too much. Otherwise it is removed: a folder may be in
     * the way, a file that cannot be narrowed must not stay as wide as it was, and the missing space may be the one that it takes.
     *
     * @param gid the group that may read it, see readersGroup
     * @param had what the file says now
     * @throws what writeFileAtomically throws
     */
    write: (name: string, { text, gid }: Pick<AuthorizedKeysFile, 'text' | 'gid'>, had: string | undefined): void => {
      const path = join(folder, name);
      const put = (): void => {
        if (had === undefined && makeFile(path, text, { mode: MODE, gid })) return;
        writeFileAtomically(path, text, { mode: MODE, gid });
      };
      try {
        put();
      } catch (error) {
        if (had !== undefined && hasNoLineBeyond(had, text)) throw error;
        rmSync(path, { force: true, recursive: true });
        put();
      }
    },

    /** Whether something with this name is there. True also where that cannot be known. */
    mayBeThere: (name: string): boolean => {
      try {
        return lstatSync(join(folder, name), { throwIfNoEntry: false }) !== undefined;
      } catch {
        return true;
      }
    },

    /** Removes whatever has this name. */
    remove: (name: string): void => {
      known.delete(name);
      rmSync(join(folder, name), { force: true, recursive: true });
    },
  };
};

export type AuthorizedKeysFolder = ReturnType<typeof authorizedKeysFolder>;

/**
 * Whether a file lets anybody in who must not get in: a key that is not wanted, or not with these options. A line that the server
 * did not write, or a file of the wrong kind (null), may allow anything. Comments let nobody in.
 */
export const grantsMore = (
  had: AuthorizedKeysFile | null | undefined,
  wanted: AuthorizedKeysFile | undefined,
): boolean => {
  if (had === undefined || had === wanted) return false;
  if (had === null || wanted === undefined) return true;
  const keys = new Map(wanted.keys.map((key) => [key.blob, key]));
  return had.text.split('\n').some((line) => {
    const key = parseLine(line);
    const same = key && keys.get(key.blob);
    return line !== '' && !(same && sameOptions(key.options, same.options));
  });
};

const hasNoLineBeyond = (had: string, wanted: string): boolean => {
  const lines = new Set(wanted.split('\n'));
  return had.split('\n').every((line) => lines.has(line));
};
