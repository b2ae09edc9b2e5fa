import { compareText } from '../text/order.ts';
import type { State } from './account.ts';
import type { AuthorizedKey } from './authorized-key.ts';
import { type Declaration, type DeclaredAccount, ENVIRONMENT } from './declaration.ts';
import { type Directives, directivesOf, narrowerDirectives } from './directives.ts';
import { errorAt, type Finding, warningAt } from './finding.ts';
import type { AccountName } from './name.ts';
import { narrowerOptions, sameOptions } from './narrow.ts';
import { narrowerRole, ROLE_FOLDERS, ROLES, type Role } from './role.ts';

export type MergedAccount = Directives & {
  readonly name: AccountName;
  readonly role: Role;
  readonly keys: readonly AuthorizedKey[];
};

export type Merged = {
  /** One per name, sorted by name. One with a conflict has the narrower role and every key that any of its files names. */
  readonly accounts: readonly MergedAccount[];
  readonly conflicting: ReadonlySet<string>;
  readonly findings: readonly Finding[];
};

/**
 * Brings together everything that is declared for one name. What could not be read counts as declared in the way it runs now: it
 * gains nothing and loses nothing.
 */
export const mergeDeclarations = (declaration: Declaration, running: State): Merged => {
  const declared = [
    ...declaration.accounts.map((account) => keepUnread(account, running)),
    ...frozen(declaration, running),
  ];
  const byName = new Map<AccountName, DeclaredAccount[]>();
  for (const account of declared) {
    const others = byName.get(account.name);
    if (others) others.push(account);
    else byName.set(account.name, [account]);
  }
  const accounts: MergedAccount[] = [];
  const conflicting = new Set<string>();
  const findings: Finding[] = [];
  for (const [name, unsorted] of [...byName].sort(([a], [b]) => compareText(a, b))) {
    const [only] = unsorted;
    if (only && unsorted.length === 1) {
      accounts.push({ name, role: only.role, keys: only.keys, ...directivesOf(only) });
      continue;
    }
    const files = unsorted.sort((a, b) => compareText(a.file, b.file));
    const conflict = conflictOf(files.filter((account) => account.file !== ENVIRONMENT));
    if (conflict) {
      conflicting.add(name);
      findings.push(...files.map((account) => conflictFinding(account, files, conflict)));
    }
    const union = uniteKeys(files, conflict !== null);
    findings.push(...union.findings);
    const role = files.map((file) => file.role).reduce(narrowerRole);
    accounts.push({ name, role, keys: union.keys, ...uniteDirectives(files) });
  }
  return { accounts, conflicting, findings };
};

const keepUnread = (account: DeclaredAccount, running: State): DeclaredAccount => {
  const runs = running.get(account.name);
  if (runs?.role !== account.role) return account;
  if (account.unreadable) return { ...account, ...directivesOf(runs), keys: runningKeys(runs.keys, account.file) };
  if (!account.doubtful) return account;
  // A typing error in a quota must not lift it, and one in `snapshots` must not let them go.
  return {
    ...account,
    ...(account.quota === undefined && runs.quota !== undefined && { quota: runs.quota }),
    ...(account.snapshots === undefined && runs.snapshots !== undefined && { snapshots: runs.snapshots }),
  };
};

/** Several files for one name: the narrowest of what they say counts. BORG_SSHKEYS and its file have no directives. */
const uniteDirectives = (files: readonly DeclaredAccount[]): Directives =>
  directivesOf(
    files
      .map((file): Directives & { readonly role: Role } => file)
      .reduce((a, b) => ({ role: narrowerRole(a.role, b.role), ...narrowerDirectives(a, b) })),
  );

/** What runs, and belongs to a folder that cannot be read, and was not in the folder's last reading. */
const frozen = (declaration: Declaration, running: State): DeclaredAccount[] => {
  const known = new Set(
    declaration.accounts.filter(({ unreadable }) => unreadable).map(({ role, name }) => `${role} ${name}`),
  );
  return [...running.values()]
    .filter(({ role, name }) => declaration.folders[role] !== 'read' && !known.has(`${role} ${name}`))
    .map((account) => {
      const file = `/sshkeys/${ROLE_FOLDERS[account.role]}/${account.name}`;
      return {
        name: account.name,
        role: account.role,
        file,
        keys: runningKeys(account.keys, file),
        unreadable: true,
        version: '',
        ...directivesOf(account),
      };
    });
};

const runningKeys = (keys: readonly Omit<AuthorizedKey, 'file' | 'line'>[], file: string): AuthorizedKey[] =>
  keys.map((key, index) => ({ ...key, file, line: index + 1 }));

type Conflict = 'conflicting-roles' | 'conflicting-names';

const conflictOf = (files: readonly DeclaredAccount[]): Conflict | null => {
  if (files.length < 2) return null;
  return ROLES.filter((role) => files.some((file) => file.role === role)).length > 1
    ? 'conflicting-roles'
    : 'conflicting-names';
};

const conflictFinding = (account: DeclaredAccount, files: readonly DeclaredAccount[], code: Conflict): Finding => {
  const others = files.filter((other) => other !== account).map(({ file }) => file);
  return errorAt(
    account.file,
    code,
    `${account.name} is also declared in ${others.join(' and ')}`,
    code === 'conflicting-roles'
      ? 'an account has one role: remove all of these files but one'
      : 'put all keys of the account into one of these files',
  );
};

/** One key counts once. If it is written twice with different options, the first place decides. In a conflict both must allow. */
const uniteKeys = (
  files: readonly DeclaredAccount[],
  conflict: boolean,
): { keys: AuthorizedKey[]; findings: Finding[] } => {
  const keys = new Map<string, AuthorizedKey | null>();
  const findings: Finding[] = [];
  for (const key of files.flatMap((file) => file.keys)) {
    const first = keys.get(key.blob);
    if (first === undefined) keys.set(key.blob, key);
    else if (first && conflict) {
      const options = narrowerOptions(first.options, key.options);
      keys.set(key.blob, options && { ...first, options });
    } else if (first && !sameOptions(first.options, key.options)) findings.push(duplicate(key, first));
  }
  return { keys: [...keys.values()].filter((key) => key !== null), findings };
};

const duplicate = (key: AuthorizedKey, first: AuthorizedKey): Finding =>
  warningAt(
    key,
    'duplicate-key',
    `this key (${key.fingerprint}) is also in ${first.file} line ${first.line}, with other options; only those count`,
    'keep one of the two lines',
  );
