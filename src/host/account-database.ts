import type { Account, State } from '../accounts/account.ts';
import type { Directives } from '../accounts/directives.ts';
import type { Registry } from '../accounts/identity.ts';
import type { AccountName } from '../accounts/name.ts';
import { recordedName } from '../accounts/name.ts';
import { loginGroup, ROLE_GROUPS, type Role, SUB_REPOSITORY_GROUPS } from '../accounts/role.ts';
import { readSnapshotKeep, snapshotKeepText } from '../accounts/snapshot-keep.ts';
import { compareText } from '../text/order.ts';

/** The three files of libnss-extrausers, as text: passwd(5), group(5), shadow(5). */
export type DatabaseFiles = { readonly passwd: string; readonly group: string; readonly shadow: string };

export type DatabaseSettings = {
  /** Primary group of the admins. */
  readonly pgid: number;
  /** The folder of the repositories. A repository account's home is its repository, so that a relative URL works. */
  readonly repos: string;
  /** Repository accounts have no private groups: they share the admins' uid and are in the admins' group. */
  readonly shared?: boolean;
};

/** What passwd says of an account: everything but its keys. */
export type DatabaseEntry = Pick<Account, 'name' | 'role' | 'uid' | keyof Directives>;

/**
 * Writes a state as account database. A repository account's primary group is its role. Its private group has the number of its
 * uid, and every admin as a member. The lines of role groups only add members: the groups themselves are in /etc/group. Where
 * uids are shared, the role is still the primary group: by it sshd tells the accounts apart.
 *
 * Admins are also in the private groups of the repositories without an account, whose owners are remembered by folder. So a key
 * that is gone takes nothing from the admins.
 *
 * The shell must be one that runs the forced command: a shell of nologin breaks ForceCommand. The password is `*` (no
 * password matches); `!` would mean a locked account to sshd with UsePAM no.
 */
export const renderDatabase = (
  state: State,
  { pgid, repos, shared }: DatabaseSettings,
  owners: Registry['uids'] = {},
): DatabaseFiles => {
  const accounts = [...state.values()];
  const admins = accounts.filter(({ role }) => role === 'admin').map(({ name }) => name);
  const passwd = accounts.map((account) => passwdLine(account, { pgid, repos }));
  const adminGroup =
    admins.length > 0 ? [`${ROLE_GROUPS.admin.name}:x:${ROLE_GROUPS.admin.gid}:${admins.join(',')}`] : [];
  const tenants = accounts.filter(({ role }) => role !== 'admin');
  const group = shared
    ? sharedGroup(tenants, pgid)
    : [
        ...tenants.map(({ name, uid }) => `${name}:x:${uid}:${[name, ...admins].join(',')}`),
        ...groupsWithoutAccount(owners, tenants, admins),
      ];
  return {
    passwd: lines(passwd),
    group: lines([...adminGroup, ...group]),
    shadow: lines(accounts.map(({ name }) => `${name}:*:::::::`)),
  };
};

/** The members have a line each: a mount may give everything to PGID alone. The name means nothing, and no account can have it. */
const sharedGroup = (tenants: readonly Account[], pgid: number): string[] =>
  tenants.length > 0 ? [`borg-shared:x:${pgid}:${tenants.map(({ name }) => name).join(',')}`] : [];

/** Named by number: a folder may have a name that no group can have. */
const groupsWithoutAccount = (
  owners: Registry['uids'],
  tenants: readonly Account[],
  admins: readonly AccountName[],
): string[] => {
  if (admins.length === 0) return [];
  const used = new Set(tenants.map(({ uid }) => uid));
  return Object.entries(owners)
    .filter(([, uid]) => !used.has(uid))
    .sort(([a], [b]) => compareText(a, b))
    .map(([, uid]) => `borg-${uid}:x:${uid}:${admins.join(',')}`);
};

/**
 * The quota is in the comment field (passwd(5), GECOS). There the launcher of `borg serve` finds it by the account's name: it is
 * written in one step with the account itself, and out of reach of the client. Beside it stands for how long its former states are kept.
 */
const passwdLine = (account: DatabaseEntry, { pgid, repos }: DatabaseSettings): string =>
  account.role === 'admin'
    ? `${account.name}:x:${account.uid}:${pgid}:borgserver:${repos}:/bin/sh`
    : `${account.name}:x:${account.uid}:${loginGroup(account).gid}:${comment(account)}:${repos}/${account.name}:/bin/sh`;

const comment = ({ quota, snapshots }: DatabaseEntry): string =>
  [
    'borgserver',
    ...(quota === undefined ? [] : [`quota=${quota}`]),
    ...(snapshots === undefined ? [] : [`snapshots=${snapshotKeepText(snapshots)}`]),
  ].join(' ');

/** The role that the primary group says. An account with any other group is an admin. */
const grants: ReadonlyMap<number, { readonly role: Role } & Directives> = new Map([
  [ROLE_GROUPS.repo.gid, { role: 'repo' }],
  [ROLE_GROUPS['append-only'].gid, { role: 'append-only' }],
  [SUB_REPOSITORY_GROUPS.repo.gid, { role: 'repo', subRepositories: true }],
  [SUB_REPOSITORY_GROUPS['append-only'].gid, { role: 'append-only', subRepositories: true }],
]);

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('');

/**
 * Reads back what passwd grants. A line that differs in one byte from what renderDatabase writes is left out: it counts as drift
 * and is rewritten. If it were taken for more, a foreign group would make a tenant an admin.
 */
export const parseDatabase = (passwd: string, settings: DatabaseSettings): readonly DatabaseEntry[] =>
  passwd.split('\n').flatMap((line) => {
    const match =
      /^([A-Za-z0-9_][A-Za-z0-9_.-]*):x:(\d+):(\d+):borgserver(?: quota=(\d{8,16}))?(?: snapshots=(\w{2,20}))?:/.exec(
        line,
      );
    if (!match) return [];
    const [, name = '', uid, gid, quota, kept] = match;
    const snapshots = kept === undefined ? undefined : readSnapshotKeep(kept);
    const grant = grants.get(Number(gid)) ?? { role: 'admin' };
    const entry: DatabaseEntry = {
      ...{ name: recordedName(name), uid: Number(uid), ...grant },
      ...(quota !== undefined && { quota: Number(quota) }),
      ...(snapshots !== undefined && typeof snapshots !== 'object' && { snapshots }),
    };
    return passwdLine(entry, settings) === line ? [entry] : [];
  });
