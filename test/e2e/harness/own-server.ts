import { afterAll, beforeAll } from 'vitest';
import { type Client, createClient } from './client.ts';
import { type Server, type ServerOptions, startServer } from './server.ts';

/** The server of this file of tests, and its first client. They are there while a test runs (see ownServer). Every file has its own. */
export let server: Server;
export let client: Client;

const clients: Client[] = [];

/** Another client of the server. It is removed with the server. */
export const anotherClient = async (): Promise<Client> => {
  const another = await createClient(server);
  clients.push(another);
  return another;
};

/**
 * Starts a server and makes a client before the tests of a file, and removes both after them, whatever happened.
 *
 * @param prepare what all tests of the file build upon
 */
export const ownServer = (options: ServerOptions = {}, prepare = async (): Promise<void> => {}): void => {
  beforeAll(async () => {
    server = await startServer(options);
    client = await anotherClient();
    await prepare();
  });
  afterAll(async () => {
    for (const each of clients.splice(0)) await each.cleanup();
    await server?.cleanup();
  });
};
