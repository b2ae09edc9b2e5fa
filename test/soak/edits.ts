import { ROLES, type Role } from '../../src/accounts/role.ts';
import { type Dice, pick } from './dice.ts';
import {
  BAD_NAMES,
  filesOf,
  type Junk,
  KEYS,
  type KeyFile,
  NAMES,
  type Options,
  pathOf,
  placeOf,
  type Tree,
  withFile,
  withoutFile,
} from './key-tree.ts';

/** A change of the key tree, before it is written. */
export type Edit = {
  /** The words for a person who reads the sequence of a failed run. */
  readonly what: string;
  readonly tree: Tree;
  /** A file that is renamed instead of written anew. */
  readonly moved?: { readonly from: string; readonly to: string };
};

export type EditKind =
  | 'add'
  | 'change keys'
  | 'remove'
  | 'move'
  | 'rename'
  | 'spoil'
  | 'direct'
  | 'contradict'
  | 'cure'
  | 'misname'
  | 'expire'
  | 'narrow'
  | 'hide'
  | 'burst';

/** Files that declare an account where the server sees them. */
const soundFiles = (tree: Tree): readonly string[] =>
  [...tree.files.keys()]
    .filter((path) => !(placeOf(path).entry in BAD_NAMES) && !tree.hidden.has(placeOf(path).role))
    .sort();

/** Names that more than one file declares. */
export const contradictions = (tree: Tree): readonly string[] => NAMES.filter((name) => filesOf(tree, name).length > 1);

/**
 * Chooses a change of this kind, or null where the tree has no place for it.
 *
 * @param now seconds since the epoch
 */
export const chooseEdit = (kind: EditKind, tree: Tree, dice: Dice, now: number): Edit | null => {
  const path = pick(dice, soundFiles(tree));
  const file = path === undefined ? undefined : tree.files.get(path);
  if (kind === 'add') return add(tree, dice);
  if (kind === 'misname') return misname(tree, dice);
  if (kind === 'cure') return cure(tree, dice);
  if (kind === 'hide') return hide(tree, dice);
  if (kind === 'burst') return burst(tree, dice, now);
  if (path === undefined || file === undefined) return null;
  const rewrite = (what: string, changed: Partial<KeyFile>): Edit => ({
    what: `${what} ${path}`,
    tree: withFile(tree, path, { ...file, ...changed }),
  });
  switch (kind) {
    case 'change keys':
      return rewrite('other keys in', { keys: otherKeys(file, dice) });
    case 'remove':
      return { what: `remove ${path}`, tree: withoutFile(tree, path) };
    case 'move':
    case 'rename':
      return move(tree, path, kind === 'move' ? otherRole(path, dice) : otherEntry(path));
    case 'spoil':
      return rewrite('other rubbish in', { junk: otherJunk(file, dice) });
    case 'direct':
      return rewrite('other directives in', otherDirectives(file, dice));
    case 'contradict':
      return contradict(tree, path, dice);
    case 'expire':
      return rewrite('an expiry in', { keys: withOptions(file, dice, expiryOf(dice, now)) });
    case 'narrow':
      return rewrite('other addresses in', { keys: withOptions(file, dice, fromOf(dice)) });
  }
};

const someKeys = (dice: Dice): KeyFile['keys'] => {
  const first = dice(KEYS);
  return Array.from({ length: 1 + dice(3) }, (_, index) => ({ key: (first + index) % KEYS, options: {} }));
};

const newFile = (dice: Dice): KeyFile => ({
  keys: someKeys(dice),
  junk: dice(6) === 0 ? [pick(dice, ['malformed', 'comment', 'forbidden'] as const) ?? 'comment'] : [],
  sub: dice(5) === 0,
  ...(dice(5) === 0 && { quota: 50e9 }),
});

const add = (tree: Tree, dice: Dice): Edit | null => {
  const name = pick(
    dice,
    NAMES.filter((each) => filesOf(tree, each).length === 0),
  );
  if (name === undefined) return null;
  const role = pick(dice, ['repo', 'repo', 'append-only', 'append-only', 'admin'] as const) ?? 'repo';
  const path = pathOf(role, dice(4) === 0 ? `${name}.pub` : name);
  return { what: `add ${path}`, tree: withFile(tree, path, newFile(dice)) };
};

const otherKeys = ({ keys }: KeyFile, dice: Dice): KeyFile['keys'] => {
  const index = dice(Math.max(1, keys.length));
  const without = keys.filter((_, each) => each !== index);
  const fresh = dice(KEYS);
  const way = dice(3);
  if (way === 0) return without;
  const base = way === 1 ? without : keys;
  return base.some(({ key }) => key === fresh) ? base : [...base, { key: fresh, options: {} }];
};

const withOptions = ({ keys }: KeyFile, dice: Dice, options: Options): KeyFile['keys'] => {
  const index = dice(Math.max(1, keys.length));
  return keys.map((each, at) => (at === index ? { ...each, options } : each));
};

const expiryOf = (dice: Dice, now: number): Options =>
  dice(4) === 0 ? {} : { expiry: Math.floor(now) + pick(dice, [5, 8, 20, 3600] as const, 5) };

const fromOf = (dice: Dice): Options => {
  const from = pick(dice, ['nowhere', 'anywhere', undefined] as const);
  return from ? { from } : {};
};

const RUBBISH: readonly Junk[] = [
  ...(['malformed', 'malformed', 'forbidden', 'repeated'] as const),
  ...(['unknown-directive', 'bad-directive', 'comment', 'private'] as const),
];

const otherJunk = ({ junk }: KeyFile, dice: Dice): readonly Junk[] => {
  const kind = pick(dice, RUBBISH, 'malformed');
  return junk.length > 0 && dice(2) === 0 ? [] : [...new Set([...junk, kind])];
};

const otherDirectives = (file: KeyFile, dice: Dice): Partial<KeyFile> => {
  if (dice(2) === 0) return { sub: !file.sub };
  return { quota: pick(dice, [20e9, 50e9, 1.5e12] as const, 20e9) };
};

const otherRole = (path: string, dice: Dice): string => {
  const { role, entry } = placeOf(path);
  const others = ROLES.filter((each) => each !== role);
  return pathOf(pick(dice, others, others[0] ?? 'repo'), entry);
};

const otherEntry = (path: string): string => (path.endsWith('.pub') ? path.slice(0, -'.pub'.length) : `${path}.pub`);

const move = (tree: Tree, from: string, to: string): Edit | null => {
  const file = tree.files.get(from);
  if (!file || tree.files.has(to)) return null;
  return { what: `move ${from} to ${to}`, tree: withFile(withoutFile(tree, from), to, file), moved: { from, to } };
};

const contradict = (tree: Tree, path: string, dice: Dice): Edit | null => {
  const other = dice(3) === 0 ? otherEntry(path) : otherRole(path, dice);
  const file = tree.files.get(path);
  // With a folder out of sight, too, the server would need two looks to tell what is left.
  if (!file || tree.files.has(other) || tree.hidden.size > 0) return null;
  const twin = dice(2) === 0 ? { ...file, junk: [] } : newFile(dice);
  return { what: `contradict ${path} by ${other}`, tree: withFile(tree, other, twin) };
};

const cure = (tree: Tree, dice: Dice): Edit | null => {
  const names = contradictions(tree);
  if (names.length === 0 && tree.hidden.size === 0) return null;
  const cured = names.reduce((each, name) => {
    const files = filesOf(each, name);
    const kept = pick(dice, files);
    return files.filter((path) => path !== kept).reduce(withoutFile, each);
  }, tree);
  return { what: `cure ${[...names, ...tree.hidden].join(' and ')}`, tree: { ...cured, hidden: new Set() } };
};

const misname = (tree: Tree, dice: Dice): Edit => {
  const there = [...tree.files.keys()].filter((path) => placeOf(path).entry in BAD_NAMES);
  const gone = pick(dice, there);
  if (gone !== undefined && dice(2) === 0) return { what: `remove ${gone}`, tree: withoutFile(tree, gone) };
  const path = pathOf(pick(dice, ROLES, 'repo'), pick(dice, Object.keys(BAD_NAMES), 'all'));
  return { what: `add ${path}`, tree: withFile(tree, path, { keys: someKeys(dice), junk: [], sub: false }) };
};

const hide = (tree: Tree, dice: Dice): Edit | null => {
  if (tree.hidden.size > 0 || contradictions(tree).length > 0) return null;
  const role: Role = pick(dice, ROLES, 'repo');
  return { what: `take away the folder of ${role}`, tree: { ...tree, hidden: new Set([role]) } };
};

/** Several changes at once, each of another account. So the result does not depend on how the server groups them. */
const burst = (tree: Tree, dice: Dice, now: number): Edit | null => {
  if (contradictions(tree).length > 0 || tree.hidden.size > 0) return null;
  const done = new Set<string>();
  const said: string[] = [];
  let next = tree;
  for (const kind of ['change keys', 'add', 'remove', 'change keys', 'narrow'] as const) {
    const edit = chooseEdit(kind, next, dice, now);
    const names = edit ? changedNames(next, edit.tree) : [];
    if (!edit || names.some((name) => done.has(name))) continue;
    for (const name of names) done.add(name);
    said.push(edit.what);
    next = edit.tree;
  }
  return said.length > 0 ? { what: `at once: ${said.join('; ')}`, tree: next } : null;
};

/** The paths of files that have changed. */
export const changedPaths = (before: Tree, after: Tree): readonly string[] =>
  [...new Set([...before.files.keys(), ...after.files.keys()])]
    .filter((path) => before.files.get(path) !== after.files.get(path))
    .sort();

const changedNames = (before: Tree, after: Tree): readonly string[] =>
  changedPaths(before, after).map((path) => placeOf(path).name);
