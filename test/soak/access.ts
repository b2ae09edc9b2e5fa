import type { Role } from '../../src/accounts/role.ts';
import { BAD_NAMES, type KeyFile, type Options, placeOf, type Tree } from './key-tree.ts';

/** What one account may do. The model has its own words for this, and on purpose does not use the server's code. */
export type Grant = {
  readonly role: Role;
  readonly keys: ReadonlyMap<number, Options>;
  readonly quota?: number;
  readonly sub: boolean;
};

/** Who may do what, by account. */
export type Access = ReadonlyMap<string, Grant>;

export const NOBODY: Access = new Map();

/** What one file declares for one name, or what is frozen because its role folder is out of sight. */
type Declared = Grant & { readonly path: string; readonly name: string };

const WIDTH: Readonly<Record<Role, number>> = { 'append-only': 0, repo: 1, admin: 2 };
const narrowerRole = (a: Role, b: Role): Role => (WIDTH[a] <= WIDTH[b] ? a : b);

/** The keys for which the file really opens its account. A private key in the file closes it. */
export const keysOf = (file: KeyFile): ReadonlyMap<number, Options> =>
  new Map(file.junk.includes('private') ? [] : file.keys.map(({ key, options }) => [key, options]));

const declarations = (tree: Tree, running: Access): readonly Declared[] => {
  const read = [...tree.files].flatMap(([path, file]): Declared[] => {
    const { role, name, entry } = placeOf(path);
    if (tree.hidden.has(role) || entry in BAD_NAMES) return [];
    const keys = keysOf(file);
    const directed = role !== 'admin' && keys.size > 0;
    const doubtful = directed && file.junk.some((kind) => kind === 'unknown-directive' || kind === 'bad-directive');
    const runs = running.get(name);
    const quota = file.quota ?? (doubtful && runs?.role === role ? runs.quota : undefined);
    return [{ path, name, role, keys, sub: directed && file.sub, ...(directed && quota !== undefined && { quota }) }];
  });
  const frozen = [...running].flatMap(([name, grant]): Declared[] =>
    tree.hidden.has(grant.role) ? [{ ...grant, name, path: `${grant.role}/${name}` }] : [],
  );
  return [...read, ...frozen];
};

/** What is declared, by name, and which names contradict themselves. */
export const wish = (
  tree: Tree,
  running: Access,
): { readonly wanted: Access; readonly conflicts: ReadonlyMap<string, 'conflicting-roles' | 'conflicting-names'> } => {
  const wanted = new Map<string, Grant>();
  const conflicts = new Map<string, 'conflicting-roles' | 'conflicting-names'>();
  for (const [name, all] of Map.groupBy(declarations(tree, running), (each) => each.name)) {
    if (all.length > 1) {
      conflicts.set(name, new Set(all.map(({ role }) => role)).size > 1 ? 'conflicting-roles' : 'conflicting-names');
    }
    const keys = new Map<number, Options | null>();
    for (const [key, options] of all.flatMap((each) => [...each.keys])) {
      const other = keys.get(key);
      keys.set(key, other === undefined ? options : other && narrowerOptions(other, options));
    }
    const role = all.map((each) => each.role).reduce(narrowerRole);
    const limits = all.map((each): Grant => each).reduce(narrowerGrant);
    const left = new Map([...keys].flatMap(([key, options]) => (options ? [[key, options]] : [])));
    if (left.size > 0) wanted.set(name, { ...limitsOf(limits), role, keys: left });
  }
  return { wanted, conflicts };
};

/** The narrower role and limits of both. The keys are those of the first. */
const narrowerGrant = (a: Grant, b: Grant): Grant => ({
  role: narrowerRole(a.role, b.role),
  keys: a.keys,
  ...narrowerLimits(a, b),
});

const limitsOf = ({ quota, sub }: Pick<Grant, 'quota' | 'sub'>) => ({ sub, ...(quota !== undefined && { quota }) });

const narrowerLimits = (a: Grant, b: Grant): Pick<Grant, 'quota' | 'sub'> => {
  const quotas = [a.quota, b.quota].filter((quota) => quota !== undefined);
  const several = (grant: Grant): boolean => grant.role === 'admin' || grant.sub;
  return {
    sub: several(a) && several(b) && (a.sub || b.sub),
    ...(quotas.length > 0 && { quota: Math.min(...quotas) }),
  };
};

/** What both allow. Null where this cannot be written down: the two lists of addresses have nothing to do with each other. */
const narrowerOptions = (a: Options, b: Options): Options | null => {
  if (a.from && b.from && a.from !== b.from) return null;
  const from = a.from ?? b.from;
  const expiries = [a.expiry, b.expiry].filter((expiry) => expiry !== undefined);
  return { ...(from && { from }), ...(expiries.length > 0 && { expiry: Math.min(...expiries) }) };
};

/**
 * Who may do what once the server has taken up the tree. That is what is declared. But while a name contradicts itself, it is only
 * what was there before *and* is declared.
 */
export const settle = (tree: Tree, running: Access): Access => {
  const { wanted, conflicts } = wish(tree, running);
  if (conflicts.size === 0) return wanted;
  const kept = new Map<string, Grant>();
  for (const [name, had] of running) {
    const wants = wanted.get(name);
    if (!wants) continue;
    const keys = new Map<number, Options>();
    for (const [key, options] of wants.keys) {
      const before = had.keys.get(key);
      const both = before && narrowerOptions(before, options);
      if (both) keys.set(key, both);
    }
    if (keys.size > 0)
      kept.set(name, { ...narrowerLimits(had, wants), role: narrowerRole(had.role, wants.role), keys });
  }
  return kept;
};

/** sshd counts whole seconds, a login takes some time, and the server ends an expired session about a second later. */
const BLURRED_MS = 4000;

/**
 * Whether the account lets the key in.
 *
 * @param now milliseconds since the epoch
 * @returns 'either' where the key expires just now
 */
export const admits = (access: Access, account: string, key: number, now: number): 'yes' | 'no' | 'either' => {
  const options = access.get(account)?.keys.get(key);
  if (!options || options.from === 'nowhere') return 'no';
  if (options.expiry === undefined) return 'yes';
  const left = options.expiry * 1000 - now;
  if (Math.abs(left) < BLURRED_MS) return 'either';
  return left > 0 ? 'yes' : 'no';
};

/** A connection as it was when it was let in. */
export type Admission = { readonly account: string; readonly key: number; readonly role: Role; readonly sub: boolean };

/** What has to become of a connection. One whose account may do more now goes on, unless it would need another user id. */
export const fateOf = (session: Admission, access: Access, now: number): 'ends' | 'goes on' | 'either' => {
  const grant = access.get(session.account);
  if (!grant || narrowerRole(session.role, grant.role) !== session.role) return 'ends';
  if ((session.role === 'admin') !== (grant.role === 'admin')) return 'ends';
  if (session.sub && !grant.sub) return 'ends';
  const let_in = admits(access, session.account, session.key, now);
  return let_in === 'either' ? 'either' : let_in === 'yes' ? 'goes on' : 'ends';
};

/** Whether an account that is let in may name this path below /repos. */
export const reaches = (grant: Grant, account: string, path: string): boolean =>
  grant.role === 'admin' || path === account || (grant.sub && path.startsWith(`${account}/`));
