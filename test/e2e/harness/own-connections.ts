import { afterEach } from 'vitest';
import type { Key } from './client.ts';
import { client, server } from './own-server.ts';
import { connected, type OpenConnection } from './sessions.ts';

/** Connections to the file's own server (ownServer). After each test those that it left open are ended, whatever happened. */
export const ownConnections = () => {
  const opened: OpenConnection[] = [];
  afterEach(() => {
    for (const { ssh } of opened.splice(0)) ssh.kill();
  });
  return {
    /** Has these connections ended after the test, too. */
    keep: (...connections: readonly OpenConnection[]): void => {
      opened.push(...connections);
    },
    /** Opens a connection, and resolves once the server knows it. */
    openKnown: async (
      account: string,
      key: Key,
      options?: Parameters<typeof connected>[4],
    ): Promise<OpenConnection> => {
      const connection = await connected(server, client, account, key, options);
      opened.push(connection);
      return connection;
    },
  };
};
