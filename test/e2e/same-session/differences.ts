/** What was found of a session, by names such as `status.Gid`. Two sessions of the same account are compared. */
export type Found = ReadonlyMap<string, string>;

export type Difference = {
  readonly name: string | RegExp;
  /** Why it may be different. */
  readonly why: string;
  /** Where not just any difference is allowed: whether this one is. Gets what the cold session has, and what the hosted one has. */
  readonly is?: (cold: string, hosted: string, account: { readonly group: number }) => boolean;
};

const numbers = (text: string): readonly number[] => (text.match(/\d+/g) ?? []).map(Number);
const without = (all: readonly number[], one: number): string => all.filter((each) => each !== one).join();
/** Whether both are the same, but for the port from which the client has come. */
const sameConnection = (cold: string, hosted: string): boolean => {
  const plain = (text: string) => text.replace(/(\d+(?:\.\d+){3}) \d+ (?=\d+\.)/, '$1 PORT ');
  return plain(cold) === plain(hosted);
};
const left = (_: string, hosted: string): boolean => hosted === '';

/** All that may differ between a session that has loaded borg itself and one that the session host has forked. */
export const DIFFERENCES: readonly Difference[] = [
  {
    name: /^(status\.Groups|ids\.groups)$/,
    why: 'a hosted session gives up the group of its role, which opens the host’s door',
    is: (cold, hosted, { group }) =>
      numbers(cold).includes(group) && without(numbers(cold), group) === numbers(hosted).join(),
  },
  {
    name: /^(status\.Gid|ids\.gid)$/,
    why: 'the same: the role’s group is a repository account’s primary group. Its files get its own group either way, by the folder’s setgid bit',
    is: (cold, hosted, { group }) =>
      new Set(numbers(cold)).size === 1 && numbers(cold)[0] === group && !numbers(hosted).includes(group),
  },
  {
    name: 'attempts.be of the group of its role',
    why: 'the same',
    is: (cold, hosted) => cold === 'done' && hosted === 'EPERM',
  },
  {
    name: 'attempts.connect to the door of the role',
    why: 'the same: a cold session gets one more session there, which is counted',
    is: (cold, hosted) => cold === 'done' && hosted === 'EACCES',
  },
  {
    name: 'environment.SSH_CONNECTION',
    why: 'each session has a connection of its own',
    is: sameConnection,
  },
  {
    name: /^environment\.(MAIL|PWD|SSH_CLIENT)$/,
    why: 'sshd and the shell set these variables, and borg reads none of them',
    is: left,
  },
  {
    name: 'environment.PATH',
    why: 'sshd takes it from its own build; a session starts no program',
    is: (_, hosted) => hosted === '/usr/local/bin:/usr/bin:/bin',
  },
  {
    name: 'words',
    why: 'a hosted session has a title instead of the words of its start',
    is: (cold, hosted) =>
      sameConnection(cold.replace(/^\S+ -I \S+\/borg-serve /, 'borg-serve --hosted '), hosted) && cold !== hosted,
  },
  {
    name: 'environment.BORG_FUSE_IMPL',
    why: 'the host loads no FUSE with borg: a server mounts nothing',
    is: (cold, hosted) => cold === '' && hosted === 'none',
  },
  {
    name: 'stat.flags',
    why: 'a hosted session is a fork of a process of root, and has called no execve(2)',
    is: (cold, hosted) => !cold.includes('forked') && hosted === '["forked","has used a right of root"]',
  },
  { name: 'status.FDSize', why: 'a fork’s table of descriptors is as large as the host’s; the limit is the same' },
  {
    name: 'attempts.limits of a session of another',
    why: 'where all accounts share one user id, a process may ask for the limits of a process of its group. A cold session may ask for those of a cold one of its role',
    is: (cold, hosted) => cold === 'EPERM' && hosted === '(0, 0)',
  },
  {
    name: /^attempts\..*its parent$/,
    why: 'the parent of a hosted session is the host, which is root’s, and not a process of sshd with the session’s user id',
    is: (_, hosted) => hosted === 'EPERM',
  },
];
