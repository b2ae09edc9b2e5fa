import type { AccountName } from '../../accounts/name.ts';
import { urlAuthority } from '../../accounts/public-address.ts';
import type { Role } from '../../accounts/role.ts';

/** All that the owner of a key has to know to use the server. Everything in it has been checked, and is one word of printable ASCII. */
export type ClientFacts = {
  readonly account: AccountName;
  readonly role: Role;
  readonly subRepositories: boolean;
  /** The repository that is meant, below /repos; null for an admin who did not say which. */
  readonly repository: string | null;
  /** An IPv6 address has no brackets here. */
  readonly host: string;
  readonly port: number;
  /** Type and base64 of each host key. */
  readonly hostKeys: readonly string[];
  /** The client's own path of its private key; null leaves the choice to ssh. */
  readonly identity: string | null;
  /** The repositories that only an admin can make room in; empty for anybody else. */
  readonly appendOnly: readonly AccountName[];
  /** Append-only accounts with several repositories, of which the server does not know which ones are in use. */
  readonly appendOnlyFolders: readonly AccountName[];
};

/** Facts of somebody who has a repository to back up to. */
export type BackupFacts = ClientFacts & { readonly repository: string };

export const hasRepository = (facts: ClientFacts): facts is BackupFacts => facts.repository !== null;

/** Whoever may not free space: deletions are only marked until an admin compacts. */
export const mayCompact = ({ role }: ClientFacts): boolean => role !== 'append-only';

/** borg's URL of a repository (`borg help`, Repository URLs). */
export const repositoryUrl = ({ account, host, port }: ClientFacts, repository: string): string =>
  `ssh://${account}@${urlAuthority(host, port)}/repos/${repository}`;

/** Lines of known_hosts, as sshd(8) describes them: at its own port a host stands without brackets. */
export const knownHostsLines = ({ host, port, hostKeys }: ClientFacts): readonly string[] =>
  hostKeys.map((key) => `${port === 22 ? host : `[${host}]:${port}`} ${key}`);

/**
 * The ssh of a client, word by word. The keepalives are borg's recommendation (`borg help serve` and the FAQ): a connection
 * that is dead must not hold a lock, and one that a compaction keeps silent must not be cut off.
 */
export const sshWords = ({ identity }: ClientFacts, options: { readonly unattended: boolean }): readonly string[] => [
  'ssh',
  ...(identity === null ? [] : ['-i', identity, '-o', 'IdentitiesOnly=yes']),
  ...(options.unattended ? ['-o', 'BatchMode=yes'] : []),
  ...['StrictHostKeyChecking=yes', 'ServerAliveInterval=10', 'ServerAliveCountMax=30'].flatMap((word) => ['-o', word]),
];

/** As BORG_RSH and borgmatic's ssh_command take it: borg splits it like a shell, without expanding anything. No word needs quotes. */
export const unattendedRsh = (facts: ClientFacts): string => sshWords(facts, { unattended: true }).join(' ');

/** For file names on the client: two servers may have accounts of one name. */
export const connectionName = ({ account, host, port }: ClientFacts): string =>
  `${account}@${host.replaceAll(':', '-')}-${port}`;

/** What is kept, by every format alike. */
export const KEEP = { daily: 7, weekly: 4, monthly: 6 } as const;

export const keepWords: readonly string[] = Object.entries(KEEP).flatMap(([unit, count]) => [
  `--keep-${unit}`,
  String(count),
]);

/** Names of archives; the second finds those of one host among several: `web-*` would take those of `web-2` for web's. */
export const ARCHIVE = '{hostname}-{now}';
export const archivesOf = (host: string): string => `${host}-[0-9][0-9][0-9][0-9]-*`;

/** What a job of the whole machine backs up, for its owner to change. */
export const MACHINE_PATHS = ['/etc', '/home', '/root'] as const;

/** Comment lines for formats that are read by programs: where the host keys go, so that the first connection is verified. */
export const knownHostsComment = (facts: ClientFacts): readonly string[] => [
  '# First add the server to /etc/ssh/ssh_known_hosts of the client:',
  ...knownHostsLines(facts).map((line) => `#   ${line}`),
];

/** A comment line: how the passphrase comes to where the job reads it. */
export const passphraseComment = (path: string): string =>
  `# Then a passphrase, of which you keep a copy elsewhere: (umask 077; head -c 24 /dev/urandom | base64 >${path})`;

/** Comment lines of an admin's job. */
export const leftOut = (folders: readonly AccountName[]): readonly string[] =>
  folders.length === 0 ? [] : [`# Not in it, since each has several repositories: ${folders.join(', ')}`];

/** What an append-only account has to know about room, as comment lines. */
export const APPEND_ONLY_COMMENT = [
  '# This account is append-only: what it prunes or deletes is only marked, and no byte leaves the disk.',
  '# Pruning is left to an admin of the server, whose compact makes it final.',
] as const;
