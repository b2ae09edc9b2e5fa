import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Account, GrantedKey } from '../accounts/account.ts';
import { parseLine, renderLine } from '../accounts/authorized-key-line.ts';
import { keepFolderOpenToRead } from './open-folder.ts';
import { makeFile, writeFileAtomically } from './write.ts';

/** sshd opens an AuthorizedKeysFile outside the home with the user's rights: world-readable, and root's for StrictModes. */
const MODE = 0o644;

/** What one account's file says: one line a key, each beginning with `restrict`. */
export const renderAuthorizedKeys = (account: Account): string =>
  account.keys
    .map(
      (key) => `${renderLine(key)}
`,
    )
    .join('');

/** The keys that a file grants. Lines that the server did not write are left out: they count as drift and go with the next write. */
export const parseAuthorizedKeys = (text: string): AuthorizedKeysFile => ({
  text,
  keys: text.split('\n').flatMap((line) => parseLine(line) ?? []),
});

export type AuthorizedKeysFile = { readonly text: string; readonly keys: readonly GrantedKey[] };

/** Each file by account name; null where it is not a plain file of root's with the right mode. */
export type AuthorizedKeysFiles = ReadonlyMap<string, AuthorizedKeysFile | null>;

/**
 * The folder of sshd's authorized keys, one file an account. Reading remembers each file by inode, times and size, so that
 * a pass without changes costs one lstat a file.
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
    const text = readPlainFile(path);
    const file = earlier?.text === text ? earlier : parseAuthorizedKeys(text);
    // Written again within the clock's tick it would look the same: remember only what has come to rest.
    const settled = Date.now() - seen.ctimeMs > 2000;
    known.set(name, { ...file, version: settled ? version : '' });
    return file;
  };

  /** One file that cannot be read is written anew; it must not hold up what the others need. */
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
     * Replaces one account's file. Where that fails, one that grants nothing but what is to be granted stays. Anything else is
     * removed: a folder is in the way, what cannot be narrowed must not stay as wide as it was, and its own place may be the space
     * that lacked.
     *
     * @param had what the file says now
     * @throws what writeFileAtomically throws
     */
    write: (name: string, text: string, had: string | undefined): void => {
      const path = join(folder, name);
      const put = (): void => {
        if (had === undefined && makeFile(path, text, MODE)) return;
        writeFileAtomically(path, text, { mode: MODE });
      };
      try {
        put();
      } catch (error) {
        if (had !== undefined && hasNoLineBeyond(had, text)) throw error;
        rmSync(path, { force: true, recursive: true });
        put();
      }
    },

    /** Removes whatever is there under this name. */
    remove: (name: string): void => {
      known.delete(name);
      rmSync(join(folder, name), { force: true, recursive: true });
    },
  };
};

export type AuthorizedKeysFolder = ReturnType<typeof authorizedKeysFolder>;

const hasNoLineBeyond = (had: string, wanted: string): boolean => {
  const lines = new Set(wanted.split('\n'));
  return had.split('\n').every((line) => lines.has(line));
};

const readPlainFile = (path: string): string => {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return fstatSync(file).isFile() ? readFileSync(file, 'utf8') : '';
  } finally {
    closeSync(file);
  }
};
