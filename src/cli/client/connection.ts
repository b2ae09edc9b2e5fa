import type { AccountName } from '../../accounts/name.ts';
import { urlAuthority } from '../../accounts/public-address.ts';
import type { Role } from '../../accounts/role.ts';

/** Everything that the owner of a key has to know to use the server. All of it has been checked, and each part is one word of printable ASCII. */
export type ClientFacts = {
  readonly account: AccountName;
  readonly role: Role;
  readonly subRepositories: boolean;
  /** The repository that is meant, below /repos. Null for an admin who did not say which. */
  readonly repository: string | null;
  /** An IPv6 address has no brackets here. */
  readonly host: string;
  readonly port: number;
  /** Type and base64 of each host key. */
  readonly hostKeys: readonly string[];
  /** The path of the private key on the client. Null leaves the choice to ssh. */
  readonly identity: string | null;
  /** The repositories in which only an admin can make room. Empty for any other account. */
  readonly appendOnly: readonly AccountName[];
  /** Append-only accounts with several repositories. The server does not know which of these are in use. */
  readonly appendOnlyFolders: readonly AccountName[];
};

/** Facts for an account that has a repository to back up to. */
export type BackupFacts = ClientFacts & { readonly repository: string };

export const hasRepository = (facts: ClientFacts): facts is BackupFacts => facts.repository !== null;

/** Whether the account may not free space: its deletions are only marked until an admin compacts. */
export const mayCompact = ({ role }: ClientFacts): boolean => role !== 'append-only';

/** borg's URL of a repository (`borg help`, Repository URLs). */
export const repositoryUrl = ({ account, host, port }: ClientFacts, repository: string): string =>
  `ssh://${account}@${urlAuthority(host, port)}/repos/${repository}`;

/** Lines of known_hosts, as sshd(8) describes them: a host with the standard port has no brackets. */
export const knownHostsLines = ({ host, port, hostKeys }: ClientFacts): readonly string[] =>
  hostKeys.map((key) => `${port === 22 ? host : `[${host}]:${port}`} ${key}`);

/**
 * The ssh command of a client, word by word. The keepalives are borg's recommendation (`borg help serve` and the FAQ): a dead
 * connection must not hold a lock, and one that a compaction keeps silent must not be cut off.
 */
export const sshWords = ({ identity }: ClientFacts, options: { readonly unattended: boolean }): readonly string[] => [
  'ssh',
  ...(identity === null ? [] : ['-i', identity, '-o', 'IdentitiesOnly=yes']),
  ...(options.unattended ? ['-o', 'BatchMode=yes'] : []),
  ...['StrictHostKeyChecking=yes', 'ServerAliveInterval=10', 'ServerAliveCountMax=30'].flatMap((word) => ['-o', word]),
];

/** In the form for BORG_RSH and borgmatic's ssh_command: borg splits it like a shell, without expanding anything. No word needs quotes. */
export const unattendedRsh = (facts: ClientFacts): string => sshWords(facts, { unattended: true }).join(' ');

/** For file names on the client: two servers may have accounts with the same name. */
export const connectionName = ({ account, host, port }: ClientFacts): string =>
  `${account}@${host.replaceAll(':', '-')}-${port}`;

/** What is kept, the same in every format. */
export const KEEP = { daily: 7, weekly: 4, monthly: 6 } as const;

export const keepWords: readonly string[] = Object.entries(KEEP).flatMap(([unit, count]) => [
  `--keep-${unit}`,
  String(count),
]);

/** Names of archives. The second one finds those of one host among several: `web-*` would also take those of `web-2`. */
export const ARCHIVE = '{hostname}-{now}';
export const archivesOf = (host: string): string => `${host}-[0-9][0-9][0-9][0-9]-*`;

/** What a job for the whole machine backs up. Its owner can change it. */
export const MACHINE_PATHS = ['/etc', '/home', '/root'] as const;

/** Comment lines for formats that programs read: where to put the host keys, so that the first connection is verified. */
export const knownHostsComment = (facts: ClientFacts): readonly string[] => [
  '# First add the server to /etc/ssh/ssh_known_hosts of the client:',
  ...knownHostsLines(facts).map((line) => `#   ${line}`),
];

/** A comment line: how to put the passphrase where the job reads it. */
export const passphraseComment = (path: string): string =>
  `# Then a passphrase; keep a copy of it elsewhere: (umask 077; head -c 24 /dev/urandom | base64 >${path})`;

/** Comment lines of an admin's job. */
export const leftOut = (folders: readonly AccountName[]): readonly string[] =>
  folders.length === 0 ? [] : [`# Not in it, since each has several repositories: ${folders.join(', ')}`];

/** What an append-only account has to know about room, as comment lines. */
export const APPEND_ONLY_COMMENT = [
  '# This account is append-only: what it prunes or deletes is only marked, and no byte leaves the disk.',
  '# Pruning is left to an admin of the server, whose compact makes it final.',
] as const;
