import { type Account, type GrantedKey, type State, stateOf } from './account.ts';
import type { NarrowingOptions } from './authorized-key.ts';
import { losesDirectives, narrowerDirectives } from './directives.ts';
import { NO_ROLE_QUOTAS, type RoleQuotas } from './quota.ts';
import { narrowerRole } from './role.ts';

/**
 * What the running state *and* the wanted state grant: accounts and keys that are in both, with the narrower role and the narrower options
 * and directives. To apply it can only take away. So a pass applies it first, and a stopped pass applies nothing else.
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
    // The wanted uid owns the folder, even where the role is the running one. But an admin's uid is never a tenant's.
    const uid = wants.role === 'admin' && role !== 'admin' ? had.uid : wants.uid;
    // Nor may it be the uid of another tenant, who got the number from a folder meanwhile. (With IDENTITIES=shared all have the same uid.)
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
 * The options that satisfy both. Null where that cannot be written down (two unrelated from= lists): then the key is left out, which grants less.
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
  // A negated pattern takes away from the others, so a part of such a list may allow more.
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
 * The accounts that lose something from `running` to `wanted`: the account itself, a key, a role, a part of the quota, the
 * sub-repositories, or a freedom that a key's options gave.
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

/** Whether `after` still allows all that `before` allowed. Undefined means that the key is gone. */
const covers = (after: NarrowingOptions | undefined, before: NarrowingOptions): boolean => {
  if (!after) return false;
  const both = narrowerOptions(before, after);
  return both !== null && sameOptions(both, before);
};

/** Whether two sets of options are written the same way. */
export const sameOptions = (a: NarrowingOptions, b: NarrowingOptions): boolean =>
  a.from === b.from && a.expiryTime === b.expiryTime && a.verifyRequired === b.verifyRequired;
