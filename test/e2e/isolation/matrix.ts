import { type Attempt, type AttemptGroup, each, NOBODY, OWN_ONLY, ofAdmins, refusedToAll } from './cells.ts';
import { STAYING } from './staying-rows.ts';
import { TAKEN_OVER } from './taken-over-rows.ts';

/**
 * What somebody may try against the server, and what comes of it. The table of docs/isolation.md is made from this, and every run of
 * isolation.test.ts is compared with it. Pure data.
 */

/** Every attempt, in the order in which they are made. */
export const GROUPS: readonly AttemptGroup[] = [
  {
    title: "With somebody else's repository",
    attempts: [
      ofAdmins('read', 'read it, by its path: also with `..`, `//`, relative, as `~NAME`, by `/proc/self/root`'),
      ofAdmins('read-by-link', 'read it through a link in one’s own folder'),
      ofAdmins('read-with-borg', '`borg list`, `extract`, `init` and `break-lock`, by every form of URL'),
      ofAdmins('widen', 'ask for another restriction: `--remote-path "borg serve --restrict-to-path /"`, `USER=…`'),
      ofAdmins('write', 'write into it'),
      ofAdmins('overwrite-key', 'overwrite its key'),
      ofAdmins('break-lock', 'break the lock of its running backup'),
      ofAdmins('destroy', 'delete it'),
      {
        id: 'create-beside',
        title: 'make a new repository: beside one’s own, below it, inside another',
        expected: each('refused', 'refused', 'own only', 'allowed', 'refused'),
      },
      refusedToAll('create-outside', "make one outside of `/repos`, or in the server's own folder", 'plain sshd'),
      refusedToAll(
        'dot-names',
        'open or make anything by a name that begins with a dot (`/repos/.borgserver/…`), with borg’s protocol by hand',
        'plain sshd',
      ),
      refusedToAll('log-in-as-other', 'log in as its account with one’s own key', 'its owner'),
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
          "have the server's log, `sessions` or `keys` tell of a login, an end or an error that never happened: by a name with a newline",
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
    title: 'With one’s own repository (an admin: any)',
    attempts: [
      { id: 'back-up', title: 'back up, and restore', expected: OWN_ONLY },
      {
        id: 'delete-for-good',
        title: 'delete for good, in one step: `delete` and `compact`',
        expected: each('kept', 'own only', 'own only', 'kept', 'refused'),
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
  TAKEN_OVER,
  STAYING,
];

/** All attempts, without their groups. */
export const ATTEMPTS: readonly Attempt[] = GROUPS.flatMap(({ attempts }) => attempts);
