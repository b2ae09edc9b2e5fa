import { shellQuote } from '../../borg/serve-arguments.ts';
import {
  ARCHIVE,
  archivesOf,
  type BackupFacts,
  type ClientFacts,
  connectionName,
  hasRepository,
  keepWords,
  knownHostsLines,
  leftOut,
  mayCompact,
  repositoryUrl,
  sshWords,
} from './connection.ts';
import { pruneJob } from './prune-job.ts';

/**
 * Commands for a POSIX shell, to be pasted or run as a whole. Nothing asks a question: it would swallow the lines that are pasted
 * after it. Comments have no character that means something to a shell, since an interactive zsh runs them as commands.
 */
export const renderShell = (facts: ClientFacts): string =>
  [...title(facts), ...connect(facts), ...(hasRepository(facts) ? backup(facts) : administer(facts))].join('\n');

const TITLES: Readonly<Record<ClientFacts['role'], string>> = {
  repo: 'may do everything on its repository',
  'append-only': 'may add to its repository and read it, and remove nothing for good',
  admin: 'may do everything on every repository of the server',
};

const title = ({ account, host, port, role }: ClientFacts): string[] => [
  `# The account ${account} at ${host}, port ${port}: ${TITLES[role]}`,
  '',
];

const connect = (facts: ClientFacts): string[] => [
  '# The server, so that the first connection is verified already',
  `borg_folder="$HOME/.config/borgserver/${connectionName(facts)}"`,
  'mkdir -p "$borg_folder" && chmod 700 "$borg_folder"',
  `cat >"$borg_folder/known_hosts" <<'END'`,
  ...knownHostsLines(facts),
  'END',
  `export BORG_RSH="${inDoubleQuotes(facts)} -o 'UserKnownHostsFile=\\"$borg_folder/known_hosts\\"'"`,
  ...(facts.identity === null ? ['# For a key that ssh does not take by itself add -i and its file to BORG_RSH'] : []),
];

/** borg splits BORG_RSH like a shell. None of these words has a character that is special inside double quotes. */
const inDoubleQuotes = (facts: ClientFacts): string => sshWords(facts, { unattended: false }).join(' ');

const backup = (facts: BackupFacts): string[] => [
  `export BORG_REPO=${shellQuote(repositoryUrl(facts, facts.repository))}`,
  ...(facts.subRepositories
    ? ['# It may have several repositories, each with another name in place of the last one']
    : []),
  ...(facts.role === 'admin' ? RELOCATED : []),
  '',
  '# Once: a passphrase, the repository, and its key for a safe place',
  '[ -s "$borg_folder/passphrase" ] || (umask 077 && head -c 24 /dev/urandom | base64 >"$borg_folder/passphrase")',
  `export BORG_PASSCOMMAND="cat '$borg_folder/passphrase'"`,
  'borg init --encryption repokey-blake2',
  '(umask 077 && borg key export :: "$borg_folder/key")',
  '# Keep copies of both files, passphrase and key, elsewhere: without them nobody can read the backup',
  '',
  '# Every day',
  // borg's own records change while it runs, and if a file changes, borg ends with a warning.
  `borg create --stats --compression zstd --exclude-caches --exclude '*/.config/borg/security' '::${ARCHIVE}' "$HOME"`,
  ...room(facts),
  '',
  '# What is there',
  'borg list',
  '',
  '# Now and then: a check, and a restore of one file, compared with the one that was backed up',
  'borg check',
  'borg_archive=$(borg list --last 1 --short)',
  'borg_restored=$(mktemp -d)',
  'borg_file="$borg_folder/known_hosts"',
  `(cd "$borg_restored" && borg extract "::$borg_archive" "$(echo "$borg_file" | cut -c 2-)")`,
  'cmp "$borg_restored/$borg_file" "$borg_file" && echo "restored in $borg_restored"',
];

const room = (facts: ClientFacts): string[] =>
  mayCompact(facts)
    ? [`borg prune --list --glob-archives '${archivesOf('{hostname}')}' ${keepWords.join(' ')}`, 'borg compact']
    : [
        '# No prune here. This account is append-only: what it takes off the list is only marked, and no byte leaves the disk',
        '# An admin of the server prunes and compacts, and only that is final',
      ];

const RELOCATED = [
  '# The clients of a repository know it by another URL, and borg would ask whether it has been moved',
  'export BORG_RELOCATED_REPO_ACCESS_IS_OK=yes',
];

const administer = (facts: ClientFacts): string[] => [
  ...RELOCATED,
  '',
  '# Any repository, for example: borg_on web01 list',
  '# Commands that read archives need the passphrase of the repository, in a file with its name',
  'mkdir -p "$borg_folder/passphrases"',
  'borg_on() (',
  '  repository=$1',
  '  shift',
  `  export BORG_REPO="${repositoryUrl(facts, '$repository')}"`,
  `  export BORG_PASSCOMMAND="cat '$borg_folder/passphrases/$repository'"`,
  '  exec borg "$@"',
  ')',
  '',
  ...(facts.appendOnly.length > 0
    ? pruneAppendOnly(facts)
    : [
        '# No account with one repository is append-only now: nobody needs an admin to make room',
        ...leftOut(facts.appendOnlyFolders),
      ]),
];

const pruneAppendOnly = ({ appendOnly, appendOnlyFolders }: ClientFacts): string[] => [
  '# Every week: make room in the append-only repositories. Their clients only mark what they delete',
  '# Compact makes that final, also what a thief of a key deleted',
  '# So nothing is done where data are gone, or archives that the last run had left. Look at the list all the same',
  '# Without --verify-data it takes less time, and does not see data that a thief has replaced',
  '# Each host is pruned separately. One with other characters than letters, digits, dots, dashes is left out',
  ...leftOut(appendOnlyFolders),
  `for repository in ${appendOnly.map(shellQuote).join(' ')}; do`,
  '  echo "== $repository"',
  '  borg_on "$repository" list --last 10 || continue',
  ...pruneJob({
    borg: 'borg_on "$repository"',
    seen: '"$borg_folder/archives/$repository"',
    stop: 'continue',
  }).map((line) => `  ${line}`),
  '  borg_on "$repository" compact --progress',
  'done',
];
