import { giveHostKey } from './host-key.ts';
import type { Environment, Server, ServerOptions } from './server.ts';

/** Fills the folders of a new server and starts it. A server that does not start leaves nothing behind. */
export const firstStart = async (server: Server, settings: Environment, options: ServerOptions): Promise<Server> => {
  try {
    await options.prepare?.(server);
    if (!options.ownHostKeys) await giveHostKey(server.sshkeys);
    await server.start(settings, options);
  } catch (error) {
    await server.cleanup();
    throw error;
  }
  return server;
};
