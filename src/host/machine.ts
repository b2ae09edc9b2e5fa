import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type State, stateOf } from '../accounts/account.ts';
import type { Change } from '../accounts/diff.ts';
import { sameDirectives } from '../accounts/directives.ts';
import type { Registry } from '../accounts/identity.ts';
import { errorCode } from '../system/errno.ts';
import { compareText } from '../text/order.ts';
import { type DatabaseFiles, type DatabaseSettings, parseDatabase, renderDatabase } from './account-database.ts';
import {
  type AuthorizedKeysFile,
  type AuthorizedKeysFiles,
  authorizedKeysFolder,
  grantsMore,
  readersGroup,
  renderAuthorizedKeys,
} from './authorized-keys.ts';
import { keepFolderOpenToRead } from './open-folder.ts';
import { writeFileAtomically } from './write.ts';

/** What the machine really has, as text. */
export type Observed = {
  readonly database: DatabaseFiles;
  /** The files of the database that are not plain files of root's with the right mode. */
  readonly unsound: readonly (keyof DatabaseFiles)[];
  readonly authorizedKeys: AuthorizedKeysFiles;
  /** The state that these files were written from, where it is known. */
  readonly state?: State;
};

type Files = ReadonlyMap<string, AuthorizedKeysFile>;
type Written = { readonly failures: readonly unknown[]; readonly tooWide: ReadonlySet<string> };

const FILES = ['group', 'shadow', 'passwd'] as const;
const DATABASE_MODES: Readonly<Record<keyof DatabaseFiles, number>> = { group: 0o644, shadow: 0o600, passwd: 0o644 };

/** The places that a machine needs; see Places. */
export type MachinePlaces = { readonly run: string; readonly extrausers: string };

/**
 * The part of the machine that the server owns: three database files and a folder of authorized keys. Everything is replaced
 * atomically. Nothing here decides what should be, or remembers what was.
 */
export const openMachine = (places: MachinePlaces, settings: DatabaseSettings) => {
  const keys = authorizedKeysFolder(join(places.run, 'authorized_keys'));
  keepFolderOpenToRead(places.extrausers);

  const readDatabase = (file: keyof DatabaseFiles): string => {
    try {
      return readFileSync(join(places.extrausers, file), 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return '';
      throw error;
    }
  };

  const observe = (): Observed => ({
    database: { passwd: readDatabase('passwd'), group: readDatabase('group'), shadow: readDatabase('shadow') },
    unsound: FILES.filter((file) => {
      const found = lstatSync(join(places.extrausers, file), { throwIfNoEntry: false });
      return found && !(found.isFile() && found.uid === 0 && (found.mode & 0o7777) === DATABASE_MODES[file]);
    }),
    authorizedKeys: keys.read(),
  });

  /** passwd comes last: it makes an account. The order never widens anything: groups without an account grant nothing. */
  const writeDatabase = (wanted: DatabaseFiles, { database, unsound }: Observed): void => {
    for (const file of FILES) {
      if (wanted[file] === database[file] && !unsound.includes(file)) continue;
      writeFileAtomically(join(places.extrausers, file), wanted[file], { mode: DATABASE_MODES[file] });
    }
  };

  /** Collects what went wrong, and which files are still there although they grant too much. */
  const writeKeys = (wanted: Files, had: AuthorizedKeysFiles): Written => {
    const failures: unknown[] = [];
    const tooWide = new Set<string>();
    const attempt = (name: string, action: () => void): void => {
      try {
        action();
      } catch (error) {
        failures.push(error);
        if (grantsMore(had.get(name), wanted.get(name)) && keys.mayBeThere(name)) tooWide.add(name);
      }
    };
    for (const name of had.keys()) if (!wanted.has(name)) attempt(name, () => keys.remove(name));
    for (const [name, file] of wanted)
      if (had.get(name) !== file) attempt(name, () => keys.write(name, file, had.get(name)?.text));
    return { failures, tooWide };
  };

  /** Removes what grants too much, before an account can use it. */
  const closeKeys = (wanted: Files, had: AuthorizedKeysFiles): Written => {
    const names = [...had.keys()].filter((name) => grantsMore(had.get(name), wanted.get(name)));
    const failures = attemptAll(names, keys.remove);
    return { failures, tooWide: new Set(failures.length === 0 ? [] : names.filter(keys.mayBeThere)) };
  };

  /**
   * Makes the machine as the state says. The order depends on the direction: taking away begins with the keys (a full disk cannot
   * stop a removal), and giving ends with them.
   *
   * @param observed what the machine has, as `observe` said or the last `write` returned
   * @param owners of the repository folders that are known
   * @returns what the machine has now
   * @throws AggregateError of the system's errors, after everything that could be done was done: then only `observe` knows
   */
  const write = (state: State, order: 'revoke' | 'grant', observed: Observed, owners?: Registry['uids']): Observed => {
    const authorizedKeys = keysOf(state, observed, settings);
    const first = (order === 'revoke' ? writeKeys : closeKeys)(authorizedKeys, observed.authorizedKeys);
    const failures = [...first.failures];
    // If an account's keys can be neither narrowed nor removed, the machine has no such account until they can.
    const safe = new Map([...state].filter(([name]) => !first.tooWide.has(name)));
    const database = renderDatabase(safe, settings, owners);
    try {
      writeDatabase(database, observed);
    } catch (error) {
      // If the database grants too much, no key may lead to it.
      const granted = new Map(parseDatabase(observed.database.passwd, settings).map((entry) => [entry.name, entry]));
      const different = [...state.values()].filter((account) => {
        const had = granted.get(account.name);
        return had?.role !== account.role || had.uid !== account.uid || !sameDirectives(had, account);
      });
      failures.push(error, ...attemptAll(different, ({ name }) => keys.remove(name)));
      throw new AggregateError(failures, 'the account database could not be written');
    }
    if (order === 'grant') failures.push(...writeKeys(authorizedKeys, observed.authorizedKeys).failures);
    if (failures.length > 0) throw new AggregateError(failures, 'authorized keys could not be written');
    return { database, unsound: [], authorizedKeys, state };
  };

  return { observe, write, settings };
};

export type Machine = ReturnType<typeof openMachine>;

/** What went wrong. Everything was tried. */
const attemptAll = <T>(things: readonly T[], action: (thing: T) => void): unknown[] =>
  things.flatMap((thing) => {
    try {
      action(thing);
      return [];
    } catch (error) {
      return [error];
    }
  });

/** The files of a state. What is as it was observed stays the same object. */
const keysOf = (state: State, observed: Observed, { shared }: DatabaseSettings): Files =>
  new Map(
    [...state.values()].map((account) => {
      const had = observed.authorizedKeys.get(account.name);
      if (had && observed.state?.get(account.name) === account) return [account.name, had];
      const [text, gid] = [renderAuthorizedKeys(account), readersGroup(account, shared)];
      return [account.name, had?.text === text && had.gid === gid ? had : { text, gid, keys: account.keys }];
    }),
  );

/**
 * What is granted at the moment: accounts of the database that have at least one key.
 *
 * @param known what ran before. It is used for key files that are there and cannot be read, so that a loss is reported
 */
export const runningState = (
  { database, authorizedKeys }: Observed,
  settings: DatabaseSettings,
  known: State = new Map(),
): State =>
  stateOf(
    parseDatabase(database.passwd, settings).flatMap((entry) => {
      const file = authorizedKeys.get(entry.name);
      const keys = (file === null ? known.get(entry.name) : file)?.keys ?? [];
      return keys.length > 0 ? [{ ...entry, keys }] : [];
    }),
  );

/**
 * Where the machine's text differs from the text of the running state, although accounts and keys are the same: somebody else has written there.
 */
export const drift = (
  observed: Observed,
  running: State,
  settings: DatabaseSettings,
  owners?: Registry['uids'],
): readonly Change[] => {
  const changes: Change[] = [];
  const database = renderDatabase(running, settings, owners);
  const files = FILES.filter((file) => database[file] !== observed.database[file] || observed.unsound.includes(file));
  if (files.length > 0) {
    changes.push({
      kind: 'database-repaired',
      account: '',
      reason: `the account database (${files.join(', ')}) was not as the server wrote it`,
    });
  }
  const listed = parseDatabase(observed.database.passwd, settings);
  const known = new Set<string>(listed.map(({ name }) => name));
  for (const account of running.values()) {
    const found = observed.authorizedKeys.get(account.name);
    if (found?.text === renderAuthorizedKeys(account) && found.gid === readersGroup(account, settings.shared)) continue;
    changes.push({
      kind: 'authorized-keys-repaired',
      account: account.name,
      reason: 'its authorized keys were not as the server wrote them',
    });
  }
  for (const name of observed.authorizedKeys.keys()) {
    if (!known.has(name))
      changes.push({ kind: 'authorized-keys-repaired', account: name, reason: 'authorized keys without an account' });
  }
  return changes.sort((a, b) => compareText(a.account, b.account));
};
