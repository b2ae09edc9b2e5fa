import { type Client, createClient, type Key } from '../e2e/harness/client.ts';
import { type Environment, type Server, startServer } from '../e2e/harness/server.ts';
import { KEYS } from './key-tree.ts';

/** The server under test, and the one client machine of all who use it. */
export type Scene = {
  readonly server: Server;
  readonly client: Client;
  /** The accounts' keys, and last the stranger's. */
  readonly keys: readonly Key[];
  /** The key of the account `borg`. No key file of the run touches this account. */
  readonly operator: Key;
  /** The server's settings; WATCH comes with each start. */
  readonly settings: Environment;
};

/** Starts a server with no key file in it. No periodic pass helps. */
export const openScene = async (): Promise<Scene & { readonly close: () => Promise<void> }> => {
  // All clients come from one address here and ask for accounts that are gone, which sshd 9.8 and later locks out.
  const penalties = { PER_SOURCE_PENALTIES: 'none' };
  const basics = { RESYNC_SECONDS: '86400', LOG_FORMAT: 'json', STOP_GRACE_SECONDS: '1', ...penalties };
  const server = await startServer({ env: basics });
  try {
    const client = await createClient(server);
    const keys: Key[] = [];
    for (let count = 0; count <= KEYS; count += 1) keys.push(await client.newKey());
    const settings = { ...basics, BORG_SSHKEYS: client.key.public };
    await server.start(settings);
    const close = async (): Promise<void> => {
      await client.cleanup();
      await server.cleanup();
    };
    return { server, client, keys, operator: client.key, settings, close };
  } catch (error) {
    await server.cleanup();
    throw error;
  }
};
