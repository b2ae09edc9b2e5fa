/**
 * What a borg that the server itself runs can reach, besides the repository and its owner's cache. `repository`: nothing but programs.
 * `machine`: everything that its owner may reach, except the other repositories.
 */
export type Reach = 'repository' | 'machine';

/** Commands of borg that read and write nothing but the repository and the cache. */
const CLOSED: ReadonlySet<string> = new Set([
  ...['break-lock', 'check', 'compact', 'config', 'delete', 'diff', 'info', 'init', 'list', 'prune', 'recreate'],
  ...['rename', 'upgrade', 'key change-passphrase', 'key migrate-to-repokey'],
]);

/** Options that name a file, and each beginning that borg accepts for one of them. */
const NAMES_FILE = /^--(exclude-f|patterns|debug-p)/;

/** Variables of borg's that name a file, or a command that may read one. */
const VARIABLES = ['BORG_PASSCOMMAND', 'BORG_NEW_PASSCOMMAND', 'BORG_KEY_FILE'];

/**
 * How far a command has to reach.
 *
 * @param command with its subcommand: `check`, `key export`
 * @param words all of it, without `borg`
 * @param env what borg gets
 */
export const reachOf = (
  command: string,
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Reach =>
  CLOSED.has(command) &&
  !words.some((word) => NAMES_FILE.test(word)) &&
  VARIABLES.every((name) => env[name] === undefined)
    ? 'repository'
    : 'machine';
