/** Where a borg command names its repository: as the first word after the command, or not at all; or why it is not run here. */
export type BorgCommand =
  | { readonly kind: 'repository'; readonly each: boolean }
  | { readonly kind: 'no-repository' }
  | { readonly kind: 'refused'; readonly reason: string };

/** `all` makes sense. */
const each: BorgCommand = { kind: 'repository', each: true };
/** If `all` did it to every repository, too much would be lost, or it would make no sense. */
const one: BorgCommand = { kind: 'repository', each: false };
const none: BorgCommand = { kind: 'no-repository' };
const refused = (reason: string): BorgCommand => ({ kind: 'refused', reason });

const FUSE = 'a server has no FUSE; mount the repository on a client, or use extract or export-tar here';

/** The commands of borg 1.2 and 1.4, with their subcommands (borg/archiver.py, build_parser). A test holds this to the installed borg. */
export const COMMANDS: Readonly<Record<string, BorgCommand>> = {
  'benchmark cpu': none,
  'benchmark crud': one,
  'break-lock': each,
  check: each,
  compact: each,
  config: each,
  create: one,
  'debug convert-profile': none,
  'debug delete-obj': one,
  'debug dump-archive': one,
  'debug dump-archive-items': one,
  'debug dump-hints': one,
  'debug dump-manifest': one,
  'debug dump-repo-objs': one,
  'debug get-obj': one,
  'debug id-hash': one,
  'debug info': none,
  'debug put-obj': one,
  'debug refcount-obj': one,
  'debug search-repo-objs': one,
  delete: one,
  diff: one,
  'export-tar': one,
  extract: one,
  help: none,
  'import-tar': one,
  info: each,
  init: one,
  'key change-passphrase': one,
  'key export': each,
  'key export-related-secrets': one,
  'key import': one,
  'key migrate-to-repokey': one,
  list: each,
  mount: refused(FUSE),
  prune: each,
  recreate: each,
  rename: one,
  serve: refused('sshd starts it for the clients'),
  umount: refused(FUSE),
  upgrade: each,
  version: none,
  'with-lock': each,
};

/** Commands whose next word is a part of the command. */
export const FAMILIES: ReadonlySet<string> = new Set(
  Object.keys(COMMANDS)
    .filter((name) => name.includes(' '))
    .map((name) => name.slice(0, name.indexOf(' '))),
);

const LONG_WITH_VALUE: readonly string[] = [
  ...['--checkpoint-interval', '--chunker-params', '--comment', '--compression', '--debug-profile', '--debug-topic'],
  ...['--encryption', '--exclude', '--exclude-from', '--exclude-if-present', '--files-cache', '--files-changed'],
  ...['--filter', '--first', '--format', '--glob-archives', '--import-related-secrets', '--keep-daily'],
  ...['--keep-13weekly', '--keep-3monthly'],
  ...['--keep-hourly', '--keep-last', '--keep-minutely', '--keep-monthly', '--keep-secondly', '--keep-weekly'],
  ...['--keep-within', '--keep-yearly', '--last', '--lock-wait', '--max-duration', '--offset', '--paths-delimiter'],
  ...['--pattern', '--patterns-from', '--prefix', '--recompress', '--remote-buffer', '--remote-path'],
  ...['--remote-ratelimit', '--restrict-to-path', '--restrict-to-repository', '--rsh', '--segment', '--sort-by'],
  ...['--stdin-group', '--stdin-mode', '--stdin-name', '--stdin-user', '--storage-quota', '--strip-components'],
  ...['--tar-filter', '--target', '--threshold', '--timestamp', '--umask', '--upload-buffer', '--upload-ratelimit'],
];
const SHORT_WITH_VALUE = 'CHPacdemowy';

/** How many words an option takes, 1 or 2. It may be several short options in one word, or the beginning of a long one: argparse accepts both. */
export const wordsOfOption = (option: string, command: string): 1 | 2 => {
  if (option.startsWith('--')) {
    // Flags that look like the beginning of --debug-topic and --sort-by.
    const flag = option === '--debug' || (option === '--sort' && command === 'diff');
    if (flag || option.includes('=')) return 1;
    return LONG_WITH_VALUE.some((long) => long.startsWith(option)) ? 2 : 1;
  }
  // -c and -d of `borg config` are flags.
  const withValue = command === 'config' ? SHORT_WITH_VALUE.replace(/[cd]/g, '') : SHORT_WITH_VALUE;
  const at = [...option].findIndex((letter) => withValue.includes(letter));
  return at === option.length - 1 ? 2 : 1;
};
