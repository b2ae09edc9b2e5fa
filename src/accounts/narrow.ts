import { type Account, type GrantedKey, type State, stateOf } from './account.ts';
import type { NarrowingOptions } from './authorized-key.ts';
import { losesDirectives, narrowerDirectives } from './directives.ts';
import { NO_ROLE_QUOTAS, type RoleQuotas } from './quota.ts';
import { narrowerRole } from './role.ts';

/**
 * What is granted by the running state *and* by the wanted one: accounts and keys in both, with the narrower role and the
 * narrower options and directives. Applying it can only take away, so it is what a pass applies first, and all that a stopped pass applies.
 */
export const intersect = (running: State, wanted: State, quotas: RoleQuotas = NO_ROLE_QUOTAS): State => {
  const kept: Account[] = [];
  const owners = new Map(
    [...wanted.values()].flatMap(({ name, role, uid }) => (role === 'admin' ? [] : [[uid, name]])),
  );
  for (const [name, had] of running) {
    const wants = wanted.get(name);
    if (!wants) continue;
    if (wants === had) {
      kept.push(had);
      continue;
    }
    const keys = sharedKeys(had.keys, wants.keys);
    if (keys.length === 0) continue;
    const role = narrowerRole(had.role, wants.role);
    // The uid that is wanted owns the folder, also where the role is the running one; but an admin's is no tenant's.
    const uid = wants.role === 'admin' && role !== 'admin' ? had.uid : wants.uid;
    // Nor may it be another tenant's, to whom a folder has given the number meanwhile. (With IDENTITIES=shared it is everybody's.)
    if (role !== 'admin' && uid !== wants.uid && (owners.get(uid) ?? name) !== name) continue;
    kept.push({ name, role, uid, keys, ...narrowerDirectives(had, wants, quotas) });
  }
  return stateOf(kept);
};

const sharedKeys = (had: readonly GrantedKey[], wants: readonly GrantedKey[]): GrantedKey[] => {
  const before = new Map(had.map((key) => [key.blob, key]));
  return wants.flatMap((key) => {
    const old = before.get(key.blob);
    const options = old && narrowerOptions(old.options, key.options);
    return options ? [{ ...key, options }] : [];
  });
};

/**
 * The options that satisfy both, or null where that cannot be written down (two unrelated from= lists): then the key is
 * left out, which grants less.
 */
export const narrowerOptions = (a: NarrowingOptions, b: NarrowingOptions): NarrowingOptions | null => {
  const from = narrowerFrom(a.from, b.from);
  if (from === null) return null;
  const expiryTime = earlierExpiry(a.expiryTime, b.expiryTime);
  if (expiryTime === null) return null;
  return {
    ...(from !== undefined && { from }),
    ...(expiryTime !== undefined && { expiryTime }),
    ...((a.verifyRequired || b.verifyRequired) && { verifyRequired: true as const }),
  };
};

const narrowerFrom = (a: string | undefined, b: string | undefined): string | undefined | null => {
  if (a === undefined || a === b) return b;
  if (b === undefined) return a;
  const [inA, inB] = [a.split(','), b.split(',')];
  // A negated pattern takes away from the others, so a part of such a list need not be narrower.
  if ([...inA, ...inB].some((pattern) => pattern.startsWith('!'))) return null;
  if (inA.every((pattern) => inB.includes(pattern))) return a;
  if (inB.every((pattern) => inA.includes(pattern))) return b;
  return null;
};

const earlierExpiry = (a: string | undefined, b: string | undefined): string | undefined | null => {
  if (a === undefined || a === b) return b;
  if (b === undefined) return a;
  // Local time and UTC cannot be compared without the server's time zone.
  if (a.endsWith('Z') !== b.endsWith('Z')) return null;
  const padded = (text: string): string => text.replace('Z', '').padEnd(14, '0');
  return padded(a) <= padded(b) ? a : b;
};

/**
 * The accounts that lose something from `running` to `wanted`: the account itself, a key, a role, a part of its quota, its
 * sub-repositories, or room in a key's options.
 */
export const losers = (running: State, wanted: State, quotas: RoleQuotas = NO_ROLE_QUOTAS): ReadonlySet<string> => {
  const lost = new Set<string>();
  for (const [name, had] of running) {
    const wants = wanted.get(name);
    if (wants === had) continue;
    const after = wants && new Map(wants.keys.map((key) => [key.blob, key]));
    const loses =
      !wants ||
      wants.uid !== had.uid ||
      narrowerRole(had.role, wants.role) !== had.role ||
      losesDirectives(had, wants, quotas) ||
      had.keys.some((key) => !covers(after?.get(key.blob)?.options, key.options));
    if (loses) lost.add(name);
  }
  return lost;
};

/** Whether `after` still allows all that `before` allowed; undefined is a key that is gone. */
const covers = (after: NarrowingOptions | undefined, before: NarrowingOptions): boolean => {
  if (!after) return false;
  const both = narrowerOptions(before, after);
  return both !== null && sameOptions(both, before);
};

/** Whether two sets of options are written alike. */
export const sameOptions = (a: NarrowingOptions, b: NarrowingOptions): boolean =>
  a.from === b.from && a.expiryTime === b.expiryTime && a.verifyRequired === b.verifyRequired;
