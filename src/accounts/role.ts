/** What a login may do: use its own repository; the same, append-only; use every repository. */
export type Role = 'repo' | 'append-only' | 'admin';

export type RoleGroup = { readonly name: string; readonly gid: number };

/**
 * The Unix group that sshd's Match blocks look for. The numbers are fixed, so that the groups on a file system mean the same in
 * the next container. The start is refused where the machine has given one to somebody else.
 */
export const ROLE_GROUPS: Readonly<Record<Role, RoleGroup>> = {
  repo: { name: 'borg-repo', gid: 770 },
  'append-only': { name: 'borg-appendonly', gid: 771 },
  admin: { name: 'borg-admin', gid: 772 },
};

/** The groups of repository accounts that may have several repositories. sshd restricts them to a path, not to one repository. */
export const SUB_REPOSITORY_GROUPS: Readonly<Record<Exclude<Role, 'admin'>, RoleGroup>> = {
  repo: { name: 'borg-repo-sub', gid: 773 },
  'append-only': { name: 'borg-appendonly-sub', gid: 774 },
};

/** Every group that has a Match block in sshd's configuration. So each must be in /etc/group. */
export const LOGIN_GROUPS: readonly RoleGroup[] = [
  ...Object.values(ROLE_GROUPS),
  ...Object.values(SUB_REPOSITORY_GROUPS),
];

/** The group that says what a login may do. Accounts of different groups have different forced commands. */
export const loginGroup = (account: { readonly role: Role; readonly subRepositories?: true }): RoleGroup =>
  account.role !== 'admin' && account.subRepositories ? SUB_REPOSITORY_GROUPS[account.role] : ROLE_GROUPS[account.role];

/** The folder below /sshkeys in which an operator declares the role. */
export const ROLE_FOLDERS: Readonly<Record<Role, string>> = {
  repo: 'repos',
  'append-only': 'repos-appendonly',
  admin: 'admins',
};

export const ROLES: readonly Role[] = ['repo', 'append-only', 'admin'];

/** The narrower of two roles: append-only may do a part of what repo may do, and repo a part of what admin may do. */
export const narrowerRole = (a: Role, b: Role): Role => {
  const width: Record<Role, number> = { 'append-only': 0, repo: 1, admin: 2 };
  return width[a] <= width[b] ? a : b;
};
