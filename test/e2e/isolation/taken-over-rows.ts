import { type AttemptGroup, each, UNIX_NOBODY } from './cells.ts';

/** What a borg could do that its client has taken over. */
export const TAKEN_OVER: AttemptGroup = {
  title: "If borg itself were taken over: as the account's Unix user",
  attempts: [
    {
      id: 'unix-other',
      title: 'read or change the files of another repository',
      expected: each('refused', 'refused', 'refused', 'allowed', '–'),
      control: 'its owner',
    },
    {
      id: 'unix-list',
      title: 'list `/repos`, make a folder in it, rename one’s own',
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
    {
      id: 'boxed',
      title:
        'with `IDENTITIES=shared`, where all accounts are one Unix user, from the box of a session (Landlock): read, list or change another repository, or read its keys; read the environment of its session, or signal it (Linux 6.12)',
      expected: UNIX_NOBODY,
      control: 'no box',
    },
    {
      id: 'links',
      title:
        'lay links into one’s own repository for an admin, and for the borg that the server runs: their `check`, `list`, `compact`, `break-lock` then read, overwrite or remove what is another’s',
      expected: UNIX_NOBODY,
      control: 'plain sshd',
      inTurn: true,
    },
  ],
};
