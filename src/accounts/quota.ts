import { ROLES, type Role } from './role.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };
const SMALLEST = 10e6;

/**
 * Reads a size as borg's --storage-quota takes it: a number and K, M, G, T or P, powers of 1000; at least 10M
 * (borg/archiver.py, parse_storage_quota; borg/helpers/parseformat.py, parse_file_size).
 *
 * @returns bytes, or what is wrong with it, as the end of a sentence
 */
export const readQuota = (text: string): number | string => {
  const match = /^(\d{1,15}(?:\.\d{1,15})?)([KMGTP]?)$/.exec(text);
  if (!match) return 'needs a size as borg writes it, for example 20G or 1.5T';
  const bytes = Math.round(Number(match[1]) * (UNITS[match[2] ?? ''] ?? 1));
  return bytes < SMALLEST ? 'must be at least 10M; leave it out for no quota' : bytes;
};

/** Bytes as readQuota reads them back, in the largest unit that leaves at most three decimals: 50G, 1.5T, 12345678. */
export const quotaText = (bytes: number): string => {
  const unit = ['P', 'T', 'G', 'M', 'K'].find((each) => {
    const factor = UNITS[each] ?? 1;
    return bytes >= factor && bytes % (factor / 1000) === 0;
  });
  return unit ? `${bytes / (UNITS[unit] ?? 1)}${unit}` : String(bytes);
};

/** Bytes that an account of each role may use where its key file says nothing; Infinity: without end. */
export type RoleQuotas = Readonly<Record<Role, number>>;

export const NO_ROLE_QUOTAS: RoleQuotas = { repo: Infinity, 'append-only': Infinity, admin: Infinity };

/** The quotas among checked arguments of borg serve: the last one counts, as for borg. */
export const roleQuotas = (words: Readonly<Record<Role, readonly string[]>>): RoleQuotas => {
  const last = (role: Role): number => {
    const given = words[role].findLast((word) => word.startsWith('--storage-quota='));
    const quota = given === undefined ? Infinity : readQuota(given.slice('--storage-quota='.length));
    return typeof quota === 'number' ? quota : Infinity;
  };
  const quotas = ROLES.map((role) => [role, last(role)] as const);
  return { ...NO_ROLE_QUOTAS, ...Object.fromEntries(quotas) };
};
