import { sizeText } from '../text/size.ts';
import { NO_ROLE_QUOTAS, type RoleQuotas } from './quota.ts';
import type { Role } from './role.ts';
import { longestKeep, type SnapshotKeep, snapshotKeepText } from './snapshot-keep.ts';

/** What an operator may set for one repository account, in lines `# borgserver: word=value` of its key file. */
export type Directives = {
  /** Bytes that borg lets each of its repositories use. It replaces the quota of the role. From 10 million to 2^53 - 1. */
  readonly quota?: number;
  /** Its folder may hold any number of repositories. It is then not a repository itself. */
  readonly subRepositories?: true;
  /** For how long its former states are kept. It replaces SNAPSHOT_KEEP. */
  readonly snapshots?: SnapshotKeep;
};

/** Only the directives of an object that has more fields. */
export const directivesOf = ({ quota, subRepositories, snapshots }: Directives): Directives => ({
  ...(quota !== undefined && { quota }),
  ...(subRepositories && { subRepositories }),
  ...(snapshots !== undefined && { snapshots }),
});

export const sameDirectives = (a: Directives, b: Directives): boolean =>
  a.quota === b.quota && a.subRepositories === b.subRepositories && a.snapshots === b.snapshots;

type Limited = Directives & { readonly role: Role };

/** Bytes that borg lets an account use: its own quota, or else that of its role. */
const quotaInForce = ({ quota, role }: Limited, quotas: RoleQuotas): number => quota ?? quotas[role];

/**
 * What both allow: the smaller quota, and sub-repositories only where both have them. An admin always has them. Where only one
 * side names a quota, the other side has the quota of its role. Snapshots grant nothing: what keeps them longer counts.
 */
export const narrowerDirectives = (a: Limited, b: Limited, quotas: RoleQuotas = NO_ROLE_QUOTAS): Directives => {
  const quota = Math.min(quotaInForce(a, quotas), quotaInForce(b, quotas));
  const named = a.quota !== undefined || b.quota !== undefined;
  return {
    ...(named && Number.isFinite(quota) && { quota }),
    ...(mayHaveSeveral(a) &&
      mayHaveSeveral(b) &&
      (a.subRepositories || b.subRepositories) && { subRepositories: true as const }),
    ...longerSnapshots(a, b),
  };
};

const longerSnapshots = (...both: readonly Directives[]): Directives => {
  const named = both.flatMap(({ snapshots }) => snapshots ?? []);
  return named.length === 0 ? {} : { snapshots: longestKeep(named) };
};

const mayHaveSeveral = ({ role, subRepositories }: Limited): boolean => role === 'admin' || subRepositories === true;

/** Whether `after` allows less than `before`. */
export const losesDirectives = (before: Limited, after: Limited, quotas: RoleQuotas = NO_ROLE_QUOTAS): boolean =>
  quotaInForce(after, quotas) < quotaInForce(before, quotas) ||
  (before.subRepositories === true && !mayHaveSeveral(after));

/** The directives as a key file has them; '' where there are none. */
export const directivesText = ({ quota, subRepositories, snapshots }: Directives): string =>
  [
    ...(quota === undefined ? [] : [`quota=${sizeText(quota)}`]),
    ...(subRepositories ? ['sub-repositories=yes'] : []),
    ...(snapshots === undefined ? [] : [`snapshots=${snapshotKeepText(snapshots)}`]),
  ].join(', ');
