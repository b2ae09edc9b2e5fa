import { readSize } from '../text/size.ts';
import { ROLES, type Role } from './role.ts';

const SMALLEST = 10e6;

/**
 * Reads a quota: a size as borg's --storage-quota takes it, at least 10M (borg/archiver.py, parse_storage_quota).
 *
 * @returns bytes, or what is wrong with it, as the end of a sentence
 */
export const readQuota = (text: string): number | string => {
  const bytes = readSize(text);
  if (bytes === null) return 'needs a size as borg writes it, for example 20G or 1.5T';
  return bytes < SMALLEST ? 'must be at least 10M; leave it out for no quota' : bytes;
};

/** Bytes that an account of each role may use where its key file says nothing. Infinity: no limit. */
export type RoleQuotas = Readonly<Record<Role, number>>;

export const NO_ROLE_QUOTAS: RoleQuotas = { repo: Infinity, 'append-only': Infinity, admin: Infinity };

/** The quotas among the checked arguments of borg serve. The last one counts, as with borg. */
export const roleQuotas = (words: Readonly<Record<Role, readonly string[]>>): RoleQuotas => {
  const last = (role: Role): number => {
    const given = words[role].findLast((word) => word.startsWith('--storage-quota='));
    const quota = given === undefined ? Infinity : readQuota(given.slice('--storage-quota='.length));
    return typeof quota === 'number' ? quota : Infinity;
  };
  const quotas = ROLES.map((role) => [role, last(role)] as const);
  return { ...NO_ROLE_QUOTAS, ...Object.fromEntries(quotas) };
};
