import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { type Declaration, type DeclaredAccount, ENVIRONMENT, type FolderState } from '../accounts/declaration.ts';
import { directivesOf } from '../accounts/directives.ts';
import { errorCode } from '../accounts/error-code.ts';
import type { Finding, FindingCode } from '../accounts/finding.ts';
import { judgeName, type NameVerdict, SINGLE_USER } from '../accounts/name.ts';
import { printable } from '../accounts/printable.ts';
import { ROLE_FOLDERS, ROLES, type Role } from '../accounts/role.ts';
import { directivesOfAdmin, type ReadDirectives } from './directives.ts';
import { parseEnvironmentKeys } from './environment-keys.ts';
import { type Bounds, createFileReader } from './file-reader.ts';
import { findExpiredKeys } from './key-file.ts';

/** What a reading depends on besides the tree. */
export type TreeContext = {
  /** Names of the machine's own accounts and groups. */
  readonly systemNames: ReadonlySet<string>;
  /** BORG_SSHKEYS as it is; '' for none. */
  readonly environmentKeys: string;
  readonly now: Date;
};

/** The folder of sshd's host keys, which declares no account. */
export const HOST_FOLDER = 'host';

/** What editors, file systems and Kubernetes (`..data`) leave beside the key files. */
const LEFTOVER = /^\.|~$|\.swp$|^#.*#$|^lost\+found$/s;

const SWAPS = 3;

/**
 * Makes a reader of the key tree. Each reading looks at every file, but reads only those that changed. It never throws:
 * what cannot be read is a finding, and a state that makes the core keep what runs.
 *
 * @param root the tree on disk
 * @param shown how an operator knows it, for findings
 */
export const createTreeReader = (root: string, shown: string): ((context: TreeContext) => Declaration) => {
  const files = createFileReader();

  const readEntries = (folder: string, role: Role, bounds: Bounds, system: ReadonlySet<string>): Folder => {
    const accounts: DeclaredAccount[] = [];
    const findings: Finding[] = [];
    for (const entry of readdirSync(folder)) {
      if (LEFTOVER.test(entry)) continue;
      const file = `${shown}/${ROLE_FOLDERS[role]}/${printable(entry)}`;
      const verdict = judgeFileName(entry, role, system);
      if (!verdict.ok) {
        findings.push(finding('error', verdict.code, file, verdict.found, verdict.remedy));
        continue;
      }
      const { name } = verdict;
      const reading = files.read(join(folder, entry), file, bounds);
      if (reading.kind === 'unreadable' || reading.kind === 'refused') findings.push(reading.finding);
      if (reading.kind === 'unreadable')
        accounts.push({ name, role, file, keys: [], unreadable: true, version: 'unreadable' });
      if (reading.kind !== 'read') continue;
      findings.push(...reading.findings);
      findings.push(...misplaced(reading, role, file));
      const directives =
        role === 'admin' ? {} : { ...directivesOf(reading), ...(reading.doubtful && { doubtful: true as const }) };
      accounts.push({
        name,
        role,
        file,
        keys: reading.keys,
        unreadable: false,
        version: reading.version,
        ...directives,
      });
    }
    return { state: 'read', accounts, findings };
  };

  const readFolder = (role: Role, system: ReadonlySet<string>): Folder => {
    const path = join(root, ROLE_FOLDERS[role]);
    const file = `${shown}/${ROLE_FOLDERS[role]}`;
    try {
      for (let attempt = 0; attempt < SWAPS; attempt += 1) {
        const bounds = boundsOf(root);
        const folder = realpathSync.native(path);
        if (!folder.startsWith(bounds.root + sep)) return outside(file);
        const before = identityOf(folder);
        const read = readEntries(folder, role, bounds, system);
        // Kubernetes replaces the whole folder by swapping a link and removes the old one: half read, its files would seem gone.
        if (identityOf(path) === before) return read;
      }
      return unreadableFolder(file, 'it is being replaced');
    } catch (error) {
      const code = errorCode(error) ?? 'EIO';
      return code === 'ENOENT' ? missing(file) : unreadableFolder(file, code);
    }
  };

  return ({ systemNames, environmentKeys, now }) => {
    const folders = ROLES.map((role) => [role, readFolder(role, systemNames)] as const);
    files.sweep();
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

type Folder = {
  readonly state: FolderState;
  readonly accounts: readonly DeclaredAccount[];
  readonly findings: readonly Finding[];
};

const boundsOf = (root: string): Bounds => {
  const real = realpathSync.native(root);
  return { root: real, host: join(real, HOST_FOLDER) };
};

const identityOf = (path: string): string => {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
};

/** NAME.pub means NAME. admins/borg adds keys to the single-user account, which no other file may name. */
const judgeFileName = (entry: string, role: Role, system: ReadonlySet<string>): NameVerdict => {
  const text = entry.endsWith('.pub') ? entry.slice(0, -'.pub'.length) : entry;
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

/** A mistyped folder lets nobody in, and nobody would notice until a backup fails. */
const findUnexpected = (root: string, shown: string): Finding[] => {
  const expected = new Set<string>([...Object.values(ROLE_FOLDERS), HOST_FOLDER]);
  return listOrNothing(root)
    .filter((entry) => !expected.has(entry) && !LEFTOVER.test(entry) && !/^README/i.test(entry))
    .map((entry) =>
      finding(
        'warning',
        'unexpected-entry',
        `${shown}/${printable(entry)}`,
        'nothing in here is read',
        `key files belong into ${Object.values(ROLE_FOLDERS).join('/, ')}/`,
      ),
    );
};

/** Whatever is wrong with the root is told once for each role folder. */
const listOrNothing = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
};

const finding = (
  severity: Finding['severity'],
  code: FindingCode,
  file: string,
  message: string,
  remedy: string,
): Finding => ({ severity, code, file, line: null, message, remedy });

const failed = (state: FolderState, code: FindingCode, file: string, message: string, remedy: string): Folder => ({
  state,
  accounts: [],
  findings: [finding('error', code, file, `${message}; its accounts stay as they are`, remedy)],
});

const missing = (file: string): Folder =>
  failed(
    'missing',
    'folder-missing',
    file,
    'the folder is not there',
    'mount the key tree, or make the folder again; empty, it means nobody',
  );

const unreadableFolder = (file: string, why: string): Folder =>
  failed(
    'unreadable',
    'folder-unreadable',
    file,
    `the folder cannot be read (${why})`,
    'check its permissions and its file system',
  );

const outside = (file: string): Folder =>
  failed(
    'unreadable',
    'link-leaves-tree',
    file,
    'the folder is a link that leads out of the key tree',
    'make it a real folder',
  );
