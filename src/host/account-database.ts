import type { Account, State } from '../accounts/account.ts';
import type { AccountName } from '../accounts/name.ts';
import { ROLE_GROUPS, ROLES } from '../accounts/role.ts';

/** The three files of libnss-extrausers, as text: passwd(5), group(5), shadow(5). */
export type DatabaseFiles = { readonly passwd: string; readonly group: string; readonly shadow: string };

export type DatabaseSettings = {
  /** Primary group of the admins. */
  readonly pgid: number;
  /** The folder of the repositories: a repository account's home is its repository, so that a relative URL works. */
  readonly repos: string;
};

/** What passwd tells of an account: everything but its keys. */
export type DatabaseEntry = Pick<Account, 'name' | 'role' | 'uid'>;

/**
 * Writes a state as account database. A repository account's primary group is its role; its private group has the number of
 * its uid and every admin as a member. The lines of role groups only add members: the groups themselves are in /etc/group.
 *
 * The shell must be one that runs the forced command: a shell of nologin breaks ForceCommand. The password is `*` (no
 * password matches); `!` would mean a locked account to sshd with UsePAM no.
 */
export const renderDatabase = (state: State, { pgid, repos }: DatabaseSettings): DatabaseFiles => {
  const accounts = [...state.values()];
  const admins = accounts.filter(({ role }) => role === 'admin').map(({ name }) => name);
  const passwd = accounts.map((account) => passwdLine(account, { pgid, repos }));
  const adminGroup =
    admins.length > 0 ? [`${ROLE_GROUPS.admin.name}:x:${ROLE_GROUPS.admin.gid}:${admins.join(',')}`] : [];
  const group = accounts
    .filter(({ role }) => role !== 'admin')
    .map(({ name, uid }) => `${name}:x:${uid}:${[name, ...admins].join(',')}`);
  return {
    passwd: lines(passwd),
    group: lines([...adminGroup, ...group]),
    shadow: lines(accounts.map(({ name }) => `${name}:*:::::::`)),
  };
};

const passwdLine = ({ name, role, uid }: DatabaseEntry, { pgid, repos }: DatabaseSettings): string =>
  role === 'admin'
    ? `${name}:x:${uid}:${pgid}:borgserver:${repos}:/bin/sh`
    : `${name}:x:${uid}:${ROLE_GROUPS[role].gid}:borgserver:${repos}/${name}:/bin/sh`;

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('');

/**
 * Reads back what passwd grants. A line that is not to the byte as renderDatabase writes it is left out: it counts as drift
 * and is rewritten. Taken for more than it is, a foreign group would make an admin of a tenant.
 */
export const parseDatabase = (passwd: string, settings: DatabaseSettings): readonly DatabaseEntry[] =>
  passwd.split('\n').flatMap((line) => {
    const match = /^([A-Za-z0-9_][A-Za-z0-9_.-]*):x:(\d+):(\d+):/.exec(line);
    if (!match) return [];
    const [, name = '', uid, gid] = match;
    const role = ROLES.find((each) => each !== 'admin' && ROLE_GROUPS[each].gid === Number(gid)) ?? 'admin';
    const entry = { name: name as AccountName, role, uid: Number(uid) };
    return passwdLine(entry, settings) === line ? [entry] : [];
  });
