/**
 * What somebody may try against the server, and what comes of it: the one description from which README's table is made and
 * which every run of isolation.test.ts is compared with. Pure data.
 */

/** Who tries it. `no key` is somebody whom the server does not know. */
export const COLUMNS = ['append-only', 'repo', 'sub-repositories', 'admin', 'no key'] as const;

export type Column = (typeof COLUMNS)[number];

/** What came of an attempt; LEGEND says it for README. `–`: it has no meaning for this column and is not tried. */
export type Verdict = 'refused' | 'allowed' | 'own only' | 'kept' | 'same answer' | 'limited' | '–';

/** What README says of the verdicts that do not explain themselves. */
export const LEGEND: readonly (readonly [Verdict, string])[] = [
  ['own only', "it works on the own repository, where it is the role's right, and nowhere else"],
  ['kept', 'borg says that it is done, and every byte is still on the disk'],
  ['same answer', 'the answer is the same whether the name is there or not'],
  ['limited', 'it ends at a limit, and others go on meanwhile'],
];

export type Attempt = {
  readonly id: string;
  /** What is tried, as the middle of a sentence; Markdown. */
  readonly title: string;
  readonly expected: Readonly<Record<Column, Verdict>>;
  /**
   * With whom the very same attempt must come through in the same run, so that it is not refused for a reason of its own: a client
   * of a plain sshd that allows everything, or whoever has the right here.
   */
  readonly control?: 'plain sshd' | 'its owner' | 'root';
};

export type AttemptGroup = { readonly title: string; readonly attempts: readonly Attempt[] };

const each = (
  appendOnly: Verdict,
  repo: Verdict,
  sub: Verdict,
  admin: Verdict,
  noKey: Verdict,
): Attempt['expected'] => ({
  'append-only': appendOnly,
  repo,
  'sub-repositories': sub,
  admin,
  'no key': noKey,
});

const NOBODY = each('refused', 'refused', 'refused', 'refused', 'refused');
const ADMIN_ONLY = each('refused', 'refused', 'refused', 'allowed', 'refused');
const OWN_ONLY = each('own only', 'own only', 'own only', 'allowed', 'refused');
const UNIX_NOBODY = each('refused', 'refused', 'refused', 'refused', '–');

const refusedToAll = (id: string, title: string, control: NonNullable<Attempt['control']>): Attempt => ({
  ...{ id, title, control },
  expected: NOBODY,
});
const ofAdmins = (id: string, title: string): Attempt => ({ id, title, expected: ADMIN_ONLY });

/** Every attempt, in the order in which they are made. */
export const GROUPS: readonly AttemptGroup[] = [
  {
    title: "With somebody else's repository",
    attempts: [
      ofAdmins('read', 'read it, by its path: also with `..`, `//`, relative, as `~NAME`, by `/proc/self/root`'),
      ofAdmins('read-by-link', 'read it through a link in the own folder'),
      ofAdmins('read-with-borg', '`borg list`, `extract`, `init` and `break-lock`, by every form of URL'),
      ofAdmins('widen', 'ask for another restriction: `--remote-path "borg serve --restrict-to-path /"`, `USER=…`'),
      ofAdmins('write', 'write into it'),
      ofAdmins('overwrite-key', 'overwrite its key'),
      ofAdmins('break-lock', 'break the lock of its running backup'),
      ofAdmins('destroy', 'delete it'),
      {
        id: 'create-beside',
        title: 'make a new repository: beside the own one, below it, inside another',
        expected: each('refused', 'refused', 'own only', 'allowed', 'refused'),
      },
      refusedToAll('create-outside', "make one outside of `/repos`, or in the server's own folder", 'plain sshd'),
      refusedToAll('log-in-as-other', 'log in as its account with the own key', 'its owner'),
    ],
  },
  {
    title: 'Names',
    attempts: [
      {
        id: 'name-taken',
        title: "learn whether there is a repository of this name: by its path, `~NAME`, another's `/proc/PID/cwd`",
        expected: each('same answer', 'same answer', 'same answer', 'allowed', 'refused'),
      },
      {
        id: 'account-exists',
        title: 'learn whether there is an account of this name, by logging in',
        expected: each('same answer', 'same answer', 'same answer', 'same answer', 'same answer'),
        control: 'its owner',
      },
      {
        id: 'forge-log',
        title:
          "have the server's log, `sessions` or `keys` tell of a login, an end or an error that was not: by a name with a newline",
        expected: NOBODY,
      },
      refusedToAll(
        'log-in-without-key',
        'log in without a key: no password, keyboard-interactive, host-based',
        'its owner',
      ),
    ],
  },
  {
    title: 'Run something',
    attempts: [
      refusedToAll('shell', "a shell or a command, also hidden in borg's words (`borg --version; id`)", 'plain sshd'),
      refusedToAll('terminal', 'a terminal', 'plain sshd'),
      refusedToAll('file-transfer', '`scp` and `sftp`, up and down, whatever the subsystem is called', 'plain sshd'),
      refusedToAll(
        'environment',
        'set an environment variable: `LD_PRELOAD`, `PYTHONPATH`, `BORG_…`, `USER`',
        'plain sshd',
      ),
      refusedToAll(
        'rc-file',
        'have `~/.ssh/rc` or `~/.ssh/environment` read, wherever they may come from',
        'plain sshd',
      ),
      refusedToAll(
        'borg-options',
        'have borg write a file by its own options (`borg serve --debug-profile FILE`)',
        'plain sshd',
      ),
    ],
  },
  {
    title: 'Forward something',
    attempts: [
      refusedToAll('forward-local', 'a port of the server: `-L`, `-D`, `-W`', 'plain sshd'),
      refusedToAll('forward-remote', 'a port on the server: `-R`', 'plain sshd'),
      refusedToAll('forward-socket', 'a Unix socket, in either direction', 'plain sshd'),
      refusedToAll('forward-agent', 'an agent: `-A`', 'plain sshd'),
      refusedToAll('forward-x11', 'X11: `-Y`', 'plain sshd'),
      refusedToAll('forward-tunnel', 'a network interface: `-w`', 'plain sshd'),
    ],
  },
  {
    title: 'With the own repository (an admin: any)',
    attempts: [
      { id: 'back-up', title: 'back up, and restore', expected: OWN_ONLY },
      {
        id: 'delete-for-good',
        title: 'delete for good: `delete` and `compact`',
        expected: each('kept', 'own only', 'own only', 'allowed', 'refused'),
      },
      {
        id: 'destroy-own',
        title: "delete it whole, also by borg's protocol without borg (`open` with `create`, then `destroy`)",
        expected: each('refused', 'own only', 'own only', 'allowed', 'refused'),
      },
      {
        id: 'break-own-lock',
        title: 'break the lock of a running backup',
        expected: each('refused', 'own only', 'own only', 'allowed', 'refused'),
      },
      {
        id: 'overwrite-own-key',
        title: 'overwrite its key',
        expected: each('kept', 'own only', 'own only', 'allowed', 'refused'),
      },
      refusedToAll('write-unlocked', 'write without its lock, beside a running backup', 'plain sshd'),
      {
        id: 'exceed-quota',
        title: "store more than the account's quota (with sub-repositories: in several of them)",
        expected: each('refused', 'refused', 'allowed', '–', 'refused'),
      },
    ],
  },
  {
    title: "Were borg itself taken over: as the account's Unix user",
    attempts: [
      {
        id: 'unix-other',
        title: 'read or change the files of another repository',
        expected: each('refused', 'refused', 'refused', 'allowed', '–'),
        control: 'its owner',
      },
      {
        id: 'unix-list',
        title: 'list `/repos`, make a folder in it, rename the own one',
        expected: each('refused', 'refused', 'refused', 'allowed', '–'),
      },
      {
        id: 'unix-server',
        title:
          "read the host keys; change the key tree, sshd's configuration, accounts, `/repos/NAME` itself; ask the daemon",
        expected: UNIX_NOBODY,
        control: 'root',
      },
      {
        id: 'unix-keys',
        title: 'read the keys of another account, their comments, and from where they are accepted (`from=`)',
        expected: each('refused', 'refused', 'refused', 'allowed', '–'),
        control: 'its owner',
      },
      {
        id: 'unix-processes',
        title: "signal another account's session, or read its environment",
        expected: UNIX_NOBODY,
        control: 'its owner',
      },
      {
        id: 'unix-names',
        title: "read the accounts' names, which are in `passwd`",
        expected: each('allowed', 'allowed', 'allowed', 'allowed', '–'),
      },
    ],
  },
  {
    title: 'Stay, and use up the server',
    attempts: [
      {
        id: 'stay',
        title: 'go on after the key is gone: running, idle and multiplexed connections',
        expected: UNIX_NOBODY,
      },
      {
        id: 'outlive',
        title: 'the same without a connection: were borg taken over, it could end its own from below',
        expected: UNIX_NOBODY,
      },
      refusedToAll('memory-by-options', 'have borg read `/dev/zero` into memory by its options', 'plain sshd'),
      {
        id: 'memory',
        title: 'fill the memory with requests that are small on the wire (`SESSION_MEMORY`)',
        expected: each('limited', 'limited', 'limited', 'limited', 'refused'),
        control: 'plain sshd',
      },
      {
        id: 'sessions',
        title: 'open sessions without end (`SESSIONS_PER_ACCOUNT`)',
        expected: each('limited', 'limited', 'limited', 'limited', 'refused'),
        control: 'plain sshd',
      },
      {
        id: 'inodes',
        title: 'use up the inodes with tiny files, as fast as they can be made',
        expected: each('limited', 'limited', 'limited', 'limited', 'refused'),
        control: 'plain sshd',
      },
      {
        id: 'repositories',
        title: 'make repositories without end (`REPOSITORIES_PER_ACCOUNT`)',
        expected: each('refused', 'refused', 'limited', 'allowed', 'refused'),
      },
      {
        id: 'processes',
        title: 'start processes from a session, or keep files open without end',
        expected: each('limited', 'limited', 'limited', 'limited', 'refused'),
        control: 'plain sshd',
      },
      {
        id: 'flood',
        title: 'keep others out with connections that never log in, while they stand',
        expected: each('–', '–', '–', '–', 'limited'),
        control: 'plain sshd',
      },
      {
        id: 'memory-before-login',
        title:
          'use up the memory with connections that never log in, so that the kernel ends sshd or a backup (`MAX_STARTUPS`)',
        expected: each('–', '–', '–', '–', 'limited'),
        control: 'plain sshd',
      },
    ],
  },
];

/** All attempts, without their groups. */
export const ATTEMPTS: readonly Attempt[] = GROUPS.flatMap(({ attempts }) => attempts);
