import { type ClientFacts, knownHostsLines } from './connection.ts';

/** Lines for ~/.ssh/known_hosts or /etc/ssh/ssh_known_hosts, one for each host key. With them the first connection is verified already. */
export const renderKnownHosts = (facts: ClientFacts): string => knownHostsLines(facts).join('\n');
