import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Client, createClient } from '../e2e/harness/client.ts';
import { startNamespaceServer } from '../e2e/harness/namespace-server.ts';
import type { Server } from '../e2e/harness/server.ts';
import { type ForcedCommand, forcedCommandOf, plainForcedCommand } from './forced-command.ts';
import { names, writeKeys } from './key-tree.ts';
import { type PlainServer, startPlainServer } from './plain-server.ts';
import { daemonOf, type Way, wayTo, wayToPlain } from './session.ts';

/** Our own servers: with default settings, and with SESSION_HOST=no. Where one is enough, the first stands for this server. */
export const OWN = ['hosted', 'cold'] as const;
export type OwnName = (typeof OWN)[number];

/** How the rows of each of our servers are named. */
export const TITLES = { hosted: 'session host', cold: 'cold start' } as const;
export const PLAIN = 'plain borg serve';

type Reached = {
  readonly client: Client;
  /** The words of ssh for an account. The plain server has one account only. */
  readonly way: (account: string) => Way;
  /** The repository of the account tenant, without encryption, and what borg needs in its environment to get there. */
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  /** The forced command of the account tenant. */
  readonly command: ForcedCommand;
};
export type Own = Reached & { readonly name: OwnName; readonly server: Server; readonly daemon: number };
export type Plain = Reached & { readonly name: 'plain'; readonly server: PlainServer };
export type Contender = Own | Plain;

/** Servers that run side by side. Each has one account that the client may use, tenant, and ten accounts that nobody uses. */
export type Contenders = { readonly plain: Plain; readonly own: readonly Own[] };

/** Starts them all, and ends them when `use` is done. */
export const withContenders = async <T>(use: (contenders: Contenders) => Promise<T>): Promise<T> => {
  await using ends = new AsyncDisposableStack();
  const own: Own[] = [];
  for (const name of OWN) {
    const server = await startNamespaceServer({
      env: { SESSION_HOST: name === 'hosted' ? 'yes' : 'no' },
      prepare: ({ sshkeys }) => writeKeys(join(sshkeys, 'repos'), names(10)),
    });
    ends.defer(() => server.cleanup());
    const client = await createClient(server);
    ends.defer(() => client.cleanup());
    await makeAccounts({ server, client }, ['tenant']);
    own.push({
      ...{ name, server, client, daemon: daemonOf(server), command: await forcedCommandOf(server, 'tenant') },
      ...{ way: (account) => wayTo(client, server, account), url: client.url('tenant'), env: QUIET },
    });
  }
  const [{ client }] = own as [Own];
  const server = await startPlainServer(client);
  ends.defer(() => server.stop());
  const env = {
    ...QUIET,
    BORG_RSH: ['ssh', '-o', `UserKnownHostsFile=${server.knownHosts}`, ...client.sshFlags()].join(' '),
  };
  const plain: Plain = {
    ...{ name: 'plain', server, client, command: plainForcedCommand(server) },
    ...{ way: () => wayToPlain(client, server), url: `ssh://root@127.0.0.1:${server.port}${server.repository}`, env },
  };
  for (const each of [plain, ...own]) await each.client.borg(['init', '-e', 'none', each.url], { env: each.env });
  return await use({ plain, own });
};

const QUIET = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };

/** Accounts for the client's key. */
export const makeAccounts = async (
  { server, client }: Pick<Own, 'server' | 'client'>,
  accounts: readonly string[],
): Promise<void> => {
  for (const account of accounts) writeFileSync(join(server.sshkeys, 'repos', account), `${client.key.public}\n`);
  await server.exec(['update-borgusers']);
};
