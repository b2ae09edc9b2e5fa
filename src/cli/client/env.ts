import {
  type ClientFacts,
  connectionName,
  hasRepository,
  knownHostsComment,
  passphraseComment,
  repositoryUrl,
  unattendedRsh,
} from './connection.ts';

/** Variables for a shell (`set -a; . FILE`), systemd's EnvironmentFile and compose's env_file: all of them read these quotes the same way. */
export const renderEnv = (facts: ClientFacts): string => {
  const passphrase = `/etc/borg/${connectionName(facts)}.passphrase`;
  return [
    ...knownHostsComment(facts),
    ...(hasRepository(facts) ? [passphraseComment(passphrase)] : []),
    '# Not for docker run --env-file, which takes quotes for a part of the value.',
    ...(hasRepository(facts) ? [`BORG_REPO=${quote(repositoryUrl(facts, facts.repository))}`] : []),
    `BORG_RSH=${quote(unattendedRsh(facts))}`,
    ...(hasRepository(facts) ? [`BORG_PASSCOMMAND=${quote(`cat ${passphrase}`)}`] : []),
    ...(facts.role === 'admin' ? ['BORG_RELOCATED_REPO_ACCESS_IS_OK=yes'] : []),
  ].join('\n');
};

/** No value has a quote in it: see ClientFacts. */
const quote = (value: string): string => `'${value}'`;
