import { type ClientFacts, hasRepository, knownHostsComment } from './connection.ts';

/**
 * A block for ~/.ssh/config (ssh_config(5)). It has a name of its own: with the host's name it would change every other login to that machine, too.
 */
export const renderSshConfig = (facts: ClientFacts): string => {
  const { account, host, port, identity } = facts;
  const alias = `borg-${account}`;
  return [
    ...knownHostsComment(facts),
    `# Then: borg list ssh://${alias}/repos/${hasRepository(facts) ? facts.repository : 'REPOSITORY'}`,
    `Host ${alias}`,
    `  HostName ${host}`,
    `  Port ${port}`,
    `  User ${account}`,
    ...(identity === null ? [] : [`  IdentityFile ${identity}`, '  IdentitiesOnly yes']),
    '  StrictHostKeyChecking yes',
    '  ServerAliveInterval 10',
    '  ServerAliveCountMax 30',
    '  ForwardAgent no',
    '  RequestTTY no',
  ].join('\n');
};
