import {
  APPEND_ONLY_COMMENT,
  ARCHIVE,
  archivesOf,
  type BackupFacts,
  type ClientFacts,
  connectionName,
  hasRepository,
  keepWords,
  knownHostsLines,
  leftOut,
  MACHINE_PATHS,
  mayCompact,
  passphraseComment,
  repositoryUrl,
  unattendedRsh,
} from './connection.ts';
import { pruneJob as pruneLines } from './prune-job.ts';

/** Files of systemd, each below a line `# PATH`, as `systemctl cat` shows them: systemd.service(5), systemd.timer(5). */
export const renderSystemd = (facts: ClientFacts): string =>
  [
    ...file('/etc/ssh/ssh_known_hosts', ['# (add these lines)', ...knownHostsLines(facts)]),
    ...(hasRepository(facts) ? backupJob(facts) : pruneJob(facts)),
  ].join('\n');

const file = (path: string, content: readonly string[]): string[] => [`# ${path}`, ...content, ''];

const backupJob = (facts: BackupFacts): string[] => {
  const { account, host } = facts;
  const unit = `/etc/systemd/system/borg-${account}`;
  const borg = (...words: string[]) => `ExecStart=/usr/bin/borg ${words.map(execWord).join(' ')}`;
  return [
    ...file(`${unit}.service`, [
      ...(mayCompact(facts) ? [] : APPEND_ONLY_COMMENT),
      passphraseComment(`/etc/borg/${connectionName(facts)}.passphrase`),
      '# And once, with the variables below: borg init --encryption repokey-blake2',
      ...unitHead(`Backup to ${host} as ${account}`),
      ...service(facts, repositoryUrl(facts, facts.repository), connectionName(facts)),
      // borg's warning, for example a file that changed while it was read
      'SuccessExitStatus=1',
      borg('create', '--stats', '--compression', 'zstd', '--exclude-caches', `::${ARCHIVE}`, ...MACHINE_PATHS),
      ...(mayCompact(facts)
        ? [borg('prune', '--glob-archives', archivesOf('{hostname}'), ...keepWords), borg('compact')]
        : []),
    ]),
    ...timer(`${unit}.timer`, `Backup to ${host} as ${account}, every day`, 'daily'),
    `# systemctl enable --now borg-${account}.timer`,
  ];
};

const PRUNE = '/etc/borg/prune-append-only.sh';
const STATE = 'borg-prune';
/** Comes after borg: borg's warning, for example that a file changed while it was read, is no failure for systemd. */
const WARNED = ' || [ $? = 1 ]';

/** For an admin: one instance for each append-only repository. If one fails, the others still get their room. */
const pruneJob = (facts: ClientFacts): string[] => {
  const unit = '/etc/systemd/system/borg-prune@';
  const repository = 'INSTANCE';
  const instances = facts.appendOnly.map((name) => `borg-prune@${name}.timer`);
  return [
    ...file(PRUNE, [
      '# Without --verify-data it takes less time, and does not see data that a thief has replaced.',
      '# Where data are gone, or archives that the last run had left, nothing is pruned and compacted: a thief may have deleted them.',
      '# Hosts that share a repository are pruned separately; one with other characters in its name is left out.',
      'set -e',
      ...pruneLines({ borg: 'borg', seen: '"$1"', stop: 'exit 2', tolerated: WARNED }),
      `borg compact${WARNED}`,
    ]),
    ...file(`${unit}.service`, [
      '# Compact makes deletions final, those of a thief of the key too: look at borg list now and then.',
      ...leftOut(facts.appendOnlyFolders),
      '# The passphrase of a repository NAME is read from /etc/borg/NAME.passphrase.',
      ...unitHead(`Prune and compact %i on ${facts.host}`),
      ...service(facts, repositoryUrl(facts, repository), repository).map((line) => line.replaceAll(repository, '%i')),
      `StateDirectory=${STATE}`,
      `ExecStart=/bin/sh ${PRUNE} /var/lib/${STATE}/%i`,
    ]),
    ...timer(`${unit}.timer`, `Prune and compact %i on ${facts.host}, every week`, 'weekly'),
    instances.length > 0
      ? `# systemctl enable --now ${instances.join(' ')}`
      : '# No account is append-only now; for one: systemctl enable --now borg-prune@REPOSITORY.timer',
  ];
};

const unitHead = (description: string): string[] => [
  '[Unit]',
  `Description=${description}`,
  'Wants=network-online.target',
  'After=network-online.target',
  '',
];

const service = (facts: ClientFacts, url: string, passphrase: string): string[] => [
  '[Service]',
  'Type=oneshot',
  // systemd sets HOME, where borg has its cache, only if a user is set.
  'User=root',
  `Environment=${environmentWord(`BORG_REPO=${url}`)}`,
  `Environment=${environmentWord(`BORG_RSH=${unattendedRsh(facts)}`)}`,
  `Environment=${environmentWord(`BORG_PASSCOMMAND=cat /etc/borg/${passphrase}.passphrase`)}`,
  ...(facts.role === 'admin' ? ['Environment=BORG_RELOCATED_REPO_ACCESS_IS_OK=yes'] : []),
];

const timer = (path: string, description: string, when: string): string[] =>
  file(path, [
    '[Unit]',
    `Description=${description}`,
    '',
    '[Timer]',
    `OnCalendar=${when}`,
    // If every client began at midnight, the server would be flooded.
    'RandomizedDelaySec=3h',
    'Persistent=true',
    '',
    '[Install]',
    'WantedBy=timers.target',
  ]);

/** A word of Environment= (systemd.syntax(7), systemd.exec(5)): specifiers are expanded, variables are not. */
const environmentWord = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%')}"`;

/** A word of ExecStart= (systemd.service(5)): variables are expanded too. */
const execWord = (text: string): string =>
  /^[A-Za-z0-9_./:=@+,-]+$/.test(text) ? text : environmentWord(text).replaceAll('$', '$$$$');
