import { ROLE_GROUPS, type Role, type RoleGroup, SUB_REPOSITORY_GROUPS } from '../accounts/role.ts';
import { shellQuote } from '../borg/serve-arguments.ts';
import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';
import { plain, plainNumber, sizeWord } from './config-words.ts';

export type SessionInput = {
  readonly places: Pick<Places, 'repos'>;
  readonly settings: Pick<
    Settings,
    'SESSION_MEMORY' | 'SESSIONS_PER_ACCOUNT' | 'REPOSITORIES_PER_ACCOUNT' | 'MIN_FREE'
  >;
  /** Whether each session is in a box of the kernel, or only checks what it opens (image/launcher/confinement.py). */
  readonly box: 'required' | 'entries';
  /** Words that parseServeArguments has let through. */
  readonly serveArguments: Readonly<Record<Role, readonly string[]>>;
};

/** What the launcher is told about a session of a group. sshd has a Match block for each such group. */
export type SessionRole = {
  readonly group: RoleGroup;
  /** In them `$USER` is the name of the account, which sshd takes from the account database. */
  readonly words: readonly string[];
};

/** The roles for which sshd has a block, the narrowest first: an account in two groups gets less, not more. */
export const repositoryRoles = (input: SessionInput): readonly SessionRole[] => [
  role(input, 'append-only', ROLE_GROUPS['append-only'], ownRepository(input)),
  role(input, 'append-only', SUB_REPOSITORY_GROUPS['append-only'], ownFolder(input), mostRepositories(input)),
  role(input, 'repo', ROLE_GROUPS.repo, ownRepository(input)),
  role(input, 'repo', SUB_REPOSITORY_GROUPS.repo, ownFolder(input), mostRepositories(input)),
];

/** This role comes after all others. */
export const adminRole = (input: SessionInput): SessionRole =>
  role(input, 'admin', ROLE_GROUPS.admin, ['--restrict-to-path', plain(input.places.repos)]);

const ownRepository = ({ places }: SessionInput) => ['--restrict-to-repository', `${plain(places.repos)}/$USER`];

/** The same folder, for all repositories that the account makes below it. */
const ownFolder = ({ places }: SessionInput) => ['--restrict-to-path', `${plain(places.repos)}/$USER`];

/** A limit that the launcher enforces. It only matters for an account that makes folders of its own. */
const mostRepositories = ({ settings }: SessionInput) => [
  '--repositories',
  plainNumber(settings.REPOSITORIES_PER_ACCOUNT),
];

/** The account is among the words because admins share a uid: the number of sessions is for each of them, not for all together. */
const role = (
  { settings, box, serveArguments }: SessionInput,
  name: Role,
  group: RoleGroup,
  restriction: readonly string[],
  limits: readonly string[] = [],
): SessionRole => ({
  group,
  words: [
    ...['--account', '$USER', '--sessions', plainNumber(settings.SESSIONS_PER_ACCOUNT)],
    ...['--memory', sizeWord(settings.SESSION_MEMORY), '--min-free', sizeWord(settings.MIN_FREE), '--box', box],
    ...limits,
    ...['--', 'serve', '--umask', '0007', ...restriction],
    ...(name === 'append-only' ? ['--append-only'] : []),
    ...serveArguments[name],
  ],
});

/**
 * The command of a session that loads borg itself, for /bin/sh. The launcher drops SSH_ORIGINAL_COMMAND, not this command: see
 * image/launcher/__main__.py. $SSH_CONNECTION is among the words so that /proc/PID/cmdline tells whose session a process is. Without exec a
 * shell would stay for as long as each session.
 */
export const coldCommand = (python: string, launcher: string, { words }: SessionRole): string =>
  [`exec ${plain(python)} -I ${plain(launcher)} --session "$SSH_CONNECTION"`, ...words.map(shellWord)].join(' ');

/** ForceCommand has no token for the account (%u). The account's shell runs it with the USER that sshd took from the account database. */
const shellWord = (word: string): string => (word.includes('$USER') ? `"${expandable(word)}"` : shellQuote(word));

/** Only for the server's own words: no option of borg serve in an operator's extra arguments can name $USER. */
const expandable = (word: string): string =>
  word
    .split('$USER')
    .map((part) => (part === '' ? '' : plain(part)))
    .join('$USER');
