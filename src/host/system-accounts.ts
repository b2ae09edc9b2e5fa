import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOGIN_GROUPS } from '../accounts/role.ts';
import { failure } from '../failure.ts';

export type SystemAccounts = {
  /** Names of the machine's own accounts and groups: no key file may take one. */
  readonly names: ReadonlySet<string>;
  /** Their uids and gids: no repository account may get one. */
  readonly ids: ReadonlySet<number>;
};

/** Reads /etc/passwd and /etc/group (passwd(5), group(5): the third field is the id in both). */
export const readSystemAccounts = (etc: string): SystemAccounts => {
  const entries = ['passwd', 'group'].flatMap((file) => entriesOf(join(etc, file)));
  return { names: new Set(entries.map(({ name }) => name)), ids: new Set(entries.map(({ id }) => id)) };
};

const entriesOf = (path: string): { readonly name: string; readonly id: number }[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 3)
    .map(([name = '', , id]) => ({ name, id: Number(id) }));

/**
 * Checks that sshd's Match blocks will mean the role groups: sshd turns a gid into the name that /etc/group has for it.
 *
 * @throws Error with cause `{ code: 'role-groups', problems }`
 */
export const checkRoleGroups = (etc: string): void => {
  const groups = entriesOf(join(etc, 'group'));
  const problems = LOGIN_GROUPS.flatMap((wanted) => {
    const other = groups.find(({ name, id }) => (name === wanted.name) !== (id === wanted.gid));
    if (other)
      return [
        `group ${wanted.name} must have gid ${wanted.gid}, but /etc/group has ${other.name} with gid ${other.id}`,
      ];
    return groups.some(({ name }) => name === wanted.name)
      ? []
      : [`group ${wanted.name} (gid ${wanted.gid}) is not in /etc/group`];
  });
  if (problems.length > 0)
    throw failure('the role groups are not as sshd needs them', { code: 'role-groups', problems });
};
