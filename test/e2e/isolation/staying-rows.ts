import { type AttemptGroup, each, refusedToAll, UNIX_NOBODY } from './cells.ts';

/** What keeps the server from serving others, and a key that is gone from counting as gone. */
export const STAYING: AttemptGroup = {
  title: 'Stay, and use up the server',
  attempts: [
    {
      id: 'stay',
      title: 'go on after the key is gone: running, idle and multiplexed connections',
      expected: UNIX_NOBODY,
    },
    {
      id: 'outlive',
      title: 'the same without a connection: a borg that was taken over could end its own connection from below',
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
      id: 'full-disk',
      title: 'fill the disk (`MIN_FREE`), so that nothing can be read or deleted any more',
      expected: each('limited', 'limited', 'limited', 'limited', 'refused'),
      control: 'plain sshd',
    },
    {
      id: 'hostile-items',
      title:
        'stop `all`, `status`, `doctor`, the start, or the removal of stale locks for others: by a pipe, a socket, a folder that is exchanged all the time, a lock that nobody releases, a repository that is called like borg’s own files',
      expected: UNIX_NOBODY,
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
};
