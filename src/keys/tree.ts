import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Declaration, type DeclaredAccount, ENVIRONMENT, type FolderState } from '../accounts/declaration.ts';
import { directivesOf } from '../accounts/directives.ts';
import { errorAt, type Finding, warningAt } from '../accounts/finding.ts';
import { type AccountName, judgeName, type NameVerdict, SINGLE_USER } from '../accounts/name.ts';
import { ROLE_FOLDERS, ROLES, type Role } from '../accounts/role.ts';
import { errorCode } from '../system/errno.ts';
import { printable } from '../text/printable.ts';
import { directivesOfAdmin, type ReadDirectives } from './directives.ts';
import { parseEnvironmentKeys } from './environment-keys.ts';
import { type Bounds, createFileReader } from './file-reader.ts';
import { type Folder, missing, outside, unreadableFolder } from './folder.ts';
import { isIgnored } from './ignored-entry.ts';
import { findExpiredKeys } from './key-file.ts';
import { slipOf } from './name-slip.ts';
import { identityOf, inOpenFolder, pathInside } from './open-folder.ts';

/** What a reading depends on, apart from the tree. */
export type TreeContext = {
  /** Names of the machine's own accounts and groups. */
  readonly systemNames: ReadonlySet<string>;
  /** BORG_SSHKEYS as it is; '' if there is none. */
  readonly environmentKeys: string;
  readonly now: Date;
};

/** The folder of sshd's host keys, which declares no account. */
export const HOST_FOLDER = 'host';

const SWAPS = 3;

/**
 * Makes a reader of the key tree. Each reading looks at every file, or at those that are said to have changed, and reads what has
 * changed. It never throws: what cannot be read is a finding, and a state that makes the core keep what runs. A folder that
 * cannot be read declares the names that it had when it was last read.
 *
 * @param root the tree on disk
 * @param shown the name that an operator knows for it, for findings
 */
export const createTreeReader = (root: string, shown: string): TreeReader => {
  const files = createFileReader();
  const lastRead = new Map<Role, Entries>();

  const readEntry = (
    entry: string,
    { handle, folder, bounds }: OpenFolder,
    role: Role,
    system: ReadonlySet<string>,
  ) => {
    const file = `${shown}/${ROLE_FOLDERS[role]}/${printable(entry)}`;
    const verdict = judgeFileName(entry, role, system);
    if (!verdict.ok) return declares(null, [errorAt(file, verdict.code, verdict.found, verdict.remedy)]);
    const { name } = verdict;
    const reading = files.read({ path: join(handle, entry), name: join(folder, entry) }, file, bounds);
    if (reading.kind === 'gone') return null;
    if (reading.kind === 'refused') return { ...declares(null, [reading.finding]), refused: true };
    if (reading.kind === 'unreadable')
      return declares({ name, role, file, keys: [], unreadable: true, version: 'unreadable' }, [reading.finding]);
    const directives =
      role === 'admin' ? {} : { ...directivesOf(reading), ...(reading.doubtful && { doubtful: true as const }) };
    const { keys, version } = reading;
    return declares({ name, role, file, keys, unreadable: false, version, ...directives }, [
      ...reading.findings,
      ...misplaced(reading, role, file),
      ...(keys.length > 0 ? nameSlip(name, role, file) : []),
    ]);
  };

  /** Null where the folder was replaced meanwhile. */
  const readEntries = (
    folder: OpenFolder,
    role: Role,
    system: ReadonlySet<string>,
    changed: ReadonlySet<string> | undefined,
  ): Entries | null => {
    const earlier = lastRead.get(role);
    const known = changed && earlier?.identity === folder.identity ? earlier.entries : null;
    const entries = new Map<string, Entry>();
    for (const entry of readdirSync(folder.handle).sort()) {
      if (isIgnored(entry)) continue;
      const same = changed?.has(nameOf(entry)) ? undefined : known?.get(entry);
      const read = same ?? readEntry(entry, folder, role, system);
      // A link leads nowhere while its folder is moved away.
      if ((read === null || 'refused' in read || read.account?.unreadable) && !folder.stillThere()) return null;
      if (read) entries.set(entry, read);
    }
    return { identity: folder.identity, entries };
  };

  const readFolder = (role: Role, system: ReadonlySet<string>, changed: ReadonlySet<string> | undefined): Folder => {
    const path = join(root, ROLE_FOLDERS[role]);
    const file = `${shown}/${ROLE_FOLDERS[role]}`;
    try {
      for (let attempt = 0; attempt < SWAPS; attempt += 1) {
        const folder = realpathSync.native(path);
        const read = inOpenFolder(root, (_tree, treeIdentity) => {
          const bounds = { identity: treeIdentity, host: HOST_FOLDER };
          const inside = pathInside(folder, treeIdentity);
          if (inside === 'moved') return null;
          if (inside === null) return outside(file);
          return inOpenFolder(folder, (handle, identity) => {
            const stillThere = (): boolean => identityOf(statSync(path, { bigint: true })) === identity;
            const found = readEntries({ handle, folder, identity, bounds, stillThere }, role, system, changed);
            // Kubernetes replaces the whole folder by swapping a link, and then removes the old one. Half read, its files would seem gone.
            if (!found || !stillThere()) return null;
            lastRead.set(role, found);
            return { state: 'read' as const, ...contentOf(found) };
          });
        });
        if (read) return read;
      }
      return unreadableFolder(file, 'it is being replaced');
    } catch (error) {
      const code = errorCode(error) ?? 'EIO';
      return code === 'ENOENT' ? missing(file) : unreadableFolder(file, code);
    }
  };

  return ({ systemNames, environmentKeys, now }, changed) => {
    const folders = ROLES.map((role) => {
      const earlier = lastRead.get(role);
      const folder = readFolder(role, systemNames, changed);
      const accounts = folder.state === 'read' || !earlier ? folder.accounts : contentOf(earlier).accounts.map(unseen);
      return [role, { ...folder, accounts }] as const;
    });
    if (!changed) files.sweep();
    const environment = readEnvironment(environmentKeys);
    const accounts = [...folders.flatMap(([, folder]) => folder.accounts), ...environment.accounts];
    return {
      folders: Object.fromEntries(folders.map(([role, { state }]) => [role, state])) as Record<Role, FolderState>,
      accounts,
      findings: [
        ...folders.flatMap(([, folder]) => folder.findings),
        ...environment.findings,
        ...accounts.flatMap(({ keys }) => findExpiredKeys(keys, now)),
        ...findUnexpected(root, shown),
      ],
    };
  };
};

/** @param changed the accounts whose files are looked at; any other file counts as it was last read, if it is still there */
export type TreeReader = (context: TreeContext, changed?: ReadonlySet<string>) => Declaration;

/** What one file declares. */
type Entry = { readonly account: DeclaredAccount | null; readonly findings: readonly Finding[] };
/** A role folder as it was read, by file name. */
type Entries = { readonly identity: string; readonly entries: ReadonlyMap<string, Entry> };

const declares = (account: DeclaredAccount | null, findings: readonly Finding[]): Entry => ({ account, findings });

const contentOf = ({ entries }: Entries): Pick<Folder, 'accounts' | 'findings'> => ({
  accounts: [...entries.values()].flatMap(({ account }) => account ?? []),
  findings: [...entries.values()].flatMap(({ findings }) => findings),
});

/** A role folder that is held open. */
type OpenFolder = {
  /** The folder itself, wherever it is by now (proc(5): /proc/PID/fd). */
  readonly handle: string;
  /** Where it was. */
  readonly folder: string;
  readonly identity: string;
  readonly bounds: Bounds;
  /** Whether it is still where it was. Throws where nothing is there. */
  readonly stillThere: () => boolean;
};

/** A file of a folder that cannot be read just now. Its name stays taken, so that no other role folder can have it meanwhile. */
const unseen = ({ name, role, file }: DeclaredAccount): DeclaredAccount => ({
  ...{ name, role, file, keys: [], unreadable: true, version: 'unreadable' },
});

/** The account that a file of a role folder names, if it names one: NAME.pub means NAME. */
export const nameOf = (entry: string): string => (entry.endsWith('.pub') ? entry.slice(0, -'.pub'.length) : entry);

/** admins/borg adds keys to the single-user account. No other file may name that. */
const judgeFileName = (entry: string, role: Role, system: ReadonlySet<string>): NameVerdict => {
  const text = nameOf(entry);
  return role === 'admin' && text === SINGLE_USER ? { ok: true, name: SINGLE_USER } : judgeName(text, system);
};

const readEnvironment = (value: string): Pick<Folder, 'accounts' | 'findings'> => {
  if (/^[\s,]*$/.test(value)) return { accounts: [], findings: [] };
  const read = parseEnvironmentKeys(value);
  const account = {
    name: SINGLE_USER,
    role: 'admin',
    file: ENVIRONMENT,
    keys: read.keys,
    unreadable: false,
    version: 'environment',
  } as const;
  return { accounts: [account], findings: [...read.findings, ...misplaced(read, 'admin', ENVIRONMENT)] };
};

const misplaced = ({ directivesAt }: ReadDirectives, role: Role, file: string): Finding[] =>
  role === 'admin' && directivesAt !== undefined ? [directivesOfAdmin(file, directivesAt)] : [];

/** Such a name works, but the server would tell the client that there is no such account, or no such repository. */
const nameSlip = (name: AccountName, role: Role, file: string): Finding[] => {
  const slip = slipOf(name);
  if (!slip) return [];
  const { why, meant } = slip;
  const made = `this makes the account '${name}'${role === 'admin' ? '' : ` with the repository /repos/${name}`}`;
  const rename = `rename the file to ${meant === null ? "its host's or its user's name" : `'${meant}'`}`;
  const data = role === 'admin' ? '' : `; with data in /repos/${name} as docs/recipes.md ("Rename a repository") says`;
  return [warningAt(file, 'name-slip', `${made}: ${why}`, `${rename}, if that is meant${data}`)];
};

/** A mistyped folder lets nobody in, and nobody would notice until a backup fails. */
const findUnexpected = (root: string, shown: string): Finding[] => {
  const expected = new Set<string>([...Object.values(ROLE_FOLDERS), HOST_FOLDER]);
  return listOrNothing(root)
    .filter((entry) => !expected.has(entry) && !isIgnored(entry) && !/^README/i.test(entry))
    .map((entry) =>
      warningAt(
        `${shown}/${printable(entry)}`,
        'unexpected-entry',
        'nothing in here is read',
        `key files belong into ${Object.values(ROLE_FOLDERS).join('/, ')}/`,
      ),
    );
};

/** A fault of the root gives one finding for each role folder. */
const listOrNothing = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};
