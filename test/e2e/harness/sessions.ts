import { type ListedSession, sessionsJson } from '../../../src/cli/sessions.ts';
import { askFromOutside } from './ask-from-outside.ts';
import type { Client, Key } from './client.ts';
import { until } from './machine.ts';
import type { Finished, Running } from './program.ts';
import type { Server } from './server.ts';

/** What `borgserver sessions --json` says now, asked from outside. A test of sessions.test.ts shows that the command itself says the same. */
export const sessionsOf = async (server: Server): Promise<readonly ListedSession[]> =>
  JSON.parse(sessionsJson(await askFromOutside(server, { command: 'sessions' })));

/** What the command itself says. */
export const listedByCommand = async (server: Server): Promise<readonly ListedSession[]> =>
  JSON.parse((await server.exec(['borgserver', 'sessions', '--json'])).stdout);

/** A client's connection that stays open until somebody ends it. */
export type OpenConnection = {
  readonly ssh: Running;
  readonly key: Key;
  /** Whether it has ended. */
  over(): boolean;
  /** Resolves with how the connection ended. Fails if it does not end. */
  ended(): Promise<Finished>;
};

/** Opens a connection, by default `ssh -N`. Does not wait until the server knows it. */
export const openConnection = (
  client: Client,
  account: string,
  key: Key,
  { flags = ['-N'], words = [] }: { readonly flags?: readonly string[]; readonly words?: readonly string[] } = {},
): OpenConnection => {
  const input = words.length > 0 ? ({ input: 'pipe' } as const) : {};
  return watched(client.ssh(account, words, { key, flags, reject: false, ...input }), key);
};

/** A connection made by other means than openConnection. */
export const watched = (ssh: Running, key: Key): OpenConnection => {
  let end: Finished | undefined;
  ssh.then(
    (how) => {
      end = how;
    },
    () => {},
  );
  return {
    ssh,
    key,
    over: () => end !== undefined,
    ended: () => until('the connection to end', () => end),
  };
};

/** Resolves with all sessions of the account with this key, once the server knows `count` of them. */
export const known = (server: Server, account: string, key: Key, count = 1): Promise<readonly ListedSession[]> =>
  until(`${count} sessions of ${account}`, async (saw) => {
    const all = saw(await sessionsOf(server));
    const found = all.filter((each) => each.account === account && each.fingerprint === key.fingerprint);
    return found.length === count ? found : undefined;
  });

/** Opens a connection and resolves once the server knows it. */
export const connected = async (
  server: Server,
  client: Client,
  account: string,
  key: Key,
  options: { readonly flags?: readonly string[]; readonly words?: readonly string[] } = {},
): Promise<OpenConnection> => {
  const before = (await sessionsOf(server)).filter(
    (each) => each.account === account && each.fingerprint === key.fingerprint,
  );
  const connection = openConnection(client, account, key, options);
  await Promise.race([
    known(server, account, key, before.length + 1),
    connection.ssh.then((how) => {
      throw new Error(`the connection was not opened: ${how.stderr}`, { cause: how });
    }),
  ]);
  return connection;
};
