import type { FindingCode } from '../../src/accounts/finding.ts';
import { ROLE_FOLDERS } from '../../src/accounts/role.ts';
import { type Access, keysOf, wish } from './access.ts';
import { BAD_NAMES, type Junk, placeOf, type Tree } from './key-tree.ts';

const OF_JUNK: Readonly<Record<Junk, FindingCode | null>> = {
  malformed: 'malformed-key',
  forbidden: 'forbidden-option',
  private: 'private-key',
  repeated: 'duplicate-key',
  'unknown-directive': 'unknown-directive',
  'bad-directive': 'bad-directive',
  comment: null,
};

/** Findings that come as time passes, and not with a change of the tree. */
export const TIMED: ReadonlySet<string> = new Set<FindingCode>(['expired-key']);

/** What the server has to report of the tree, sorted: `CODE NAME`, each once. Not those of TIMED. */
export const findingsOf = (tree: Tree, running: Access): readonly string[] => {
  const found = new Set<string>();
  const { wanted, conflicts } = wish(tree, running);
  for (const [name, code] of conflicts) found.add(`${code} ${name}`);
  for (const role of tree.hidden) found.add(`folder-missing ${ROLE_FOLDERS[role]}`);
  for (const [path, file] of tree.files) {
    const { role, entry, name } = placeOf(path);
    if (tree.hidden.has(role)) continue;
    const bad = BAD_NAMES[entry];
    if (bad) {
      found.add(`${bad} ${entry}`);
      continue;
    }
    const keys = keysOf(file);
    if (keys.size === 0) found.add(`no-valid-key ${name}`);
    // A private key closes the file, and nothing else in it is looked at.
    const junk: readonly Junk[] = file.junk.includes('private') ? ['private'] : file.junk;
    for (const kind of junk) {
      const code = kind === 'repeated' && keys.size === 0 ? null : OF_JUNK[kind];
      if (code) found.add(`${code} ${name}`);
    }
    if (role === 'admin' && keys.size > 0 && (file.quota !== undefined || file.sub)) found.add(`bad-directive ${name}`);
  }
  const admins = new Set(
    [...wanted.values()].filter(({ role }) => role === 'admin').flatMap(({ keys }) => [...keys.keys()]),
  );
  for (const [name, { role, keys }] of wanted) {
    if (role === 'append-only' && [...keys.keys()].some((key) => admins.has(key)))
      found.add(`append-only-key-is-admin ${name}`);
  }
  return [...found].sort();
};

/** The same for what the server reports. */
export const normalised = (findings: readonly { readonly code: string; readonly file: string }[]): readonly string[] =>
  [
    ...new Set(
      findings
        .filter(({ code }) => !TIMED.has(code))
        .map(({ code, file }) => `${code} ${(file.split('/').at(-1) ?? '').replace(/\.pub$/, '')}`),
    ),
  ].sort();
