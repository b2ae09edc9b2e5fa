import {
  APPEND_ONLY_COMMENT,
  ARCHIVE,
  archivesOf,
  type BackupFacts,
  connectionName,
  KEEP,
  knownHostsComment,
  MACHINE_PATHS,
  mayCompact,
  passphraseComment,
  repositoryUrl,
  unattendedRsh,
} from './connection.ts';

/** A config.yaml for borgmatic 1.8.5 and later (its configuration reference): there are no sections any more, and actions can be skipped. */
export const renderBorgmatic = (facts: BackupFacts): string => {
  const passphrase = `/etc/borgmatic/${connectionName(facts)}.passphrase`;
  return [
    ...knownHostsComment(facts),
    passphraseComment(passphrase),
    ...(mayCompact(facts) ? [] : APPEND_ONLY_COMMENT),
    '# And once: borgmatic init --encryption repokey-blake2',
    'source_directories:',
    ...MACHINE_PATHS.map((path) => `  - ${quote(path)}`),
    'repositories:',
    `  - path: ${quote(repositoryUrl(facts, facts.repository))}`,
    `    label: ${quote(facts.account)}`,
    `ssh_command: ${quote(unattendedRsh(facts))}`,
    `encryption_passcommand: ${quote(`cat ${passphrase}`)}`,
    ...(facts.role === 'admin' ? ['relocated_repo_access_is_ok: true'] : []),
    `archive_name_format: ${quote(ARCHIVE)}`,
    // borgmatic's default is {hostname}-*. That prunes the archives of web-2 with those of web.
    `match_archives: ${quote(`sh:${archivesOf('{hostname}')}`)}`,
    'compression: "zstd"',
    'exclude_caches: true',
    ...(mayCompact(facts)
      ? Object.entries(KEEP).map(([unit, count]) => `keep_${unit}: ${count}`)
      : ['skip_actions:', '  - "prune"', '  - "compact"']),
    'checks:',
    '  - name: "repository"',
    '    frequency: "2 weeks"',
    '  - name: "archives"',
    '    frequency: "1 month"',
  ].join('\n');
};

/** A double-quoted scalar of YAML 1.2 accepts every string of JSON as it is. */
const quote = (text: string): string => JSON.stringify(text);
