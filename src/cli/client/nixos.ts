import {
  APPEND_ONLY_COMMENT,
  type BackupFacts,
  connectionName,
  KEEP,
  MACHINE_PATHS,
  mayCompact,
  passphraseComment,
  repositoryUrl,
  unattendedRsh,
} from './connection.ts';

/**
 * A module for NixOS: an entry of services.borgbackup.jobs and the host keys. Its job compacts whenever it prunes. So without
 * prune.keep it does neither.
 */
export const renderNixos = (facts: BackupFacts): string => {
  const { account, host, port, hostKeys } = facts;
  const passphrase = `/etc/borg/${connectionName(facts)}.passphrase`;
  const name = port === 22 ? host : `[${host}]:${port}`;
  return [
    ...(mayCompact(facts) ? [] : APPEND_ONLY_COMMENT),
    passphraseComment(passphrase),
    '{',
    ...hostKeys.flatMap((key) => [
      `  programs.ssh.knownHosts.${quote(`${name} ${key.split(' ')[0] ?? ''}`)} = {`,
      `    hostNames = [ ${quote(name)} ];`,
      `    publicKey = ${quote(key)};`,
      '  };',
    ]),
    `  services.borgbackup.jobs.${quote(account)} = {`,
    `    paths = [ ${MACHINE_PATHS.map(quote).join(' ')} ];`,
    `    repo = ${quote(repositoryUrl(facts, facts.repository))};`,
    '    encryption.mode = "repokey-blake2";',
    `    encryption.passCommand = ${quote(`cat ${passphrase}`)};`,
    `    environment.BORG_RSH = ${quote(unattendedRsh(facts))};`,
    ...(facts.role === 'admin' ? ['    environment.BORG_RELOCATED_REPO_ACCESS_IS_OK = "yes";'] : []),
    '    compression = "zstd";',
    '    extraCreateArgs = "--exclude-caches";',
    '    startAt = "daily";',
    ...(mayCompact(facts)
      ? [
          `    prune.keep = { ${Object.entries(KEEP)
            .map(([unit, count]) => `${unit} = ${count};`)
            .join(' ')} };`,
        ]
      : []),
    '  };',
    '}',
  ].join('\n');
};

/** A string of Nix: `${` would begin an expression. */
const quote = (text: string): string =>
  `"${text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll(/\$(?=\{)/g, '\\$$')}"`;
