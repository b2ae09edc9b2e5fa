import { giveHostKey } from './host-key.ts';
import { showWhereWaitsFail } from './machine.ts';
import type { Environment, Server, ServerOptions } from './server.ts';

/** How much of a server's log a failed wait shows. */
const SHOWN = 4000;

/** Fills the folders of a new server and starts it. A server that does not start leaves nothing behind. */
export const firstStart = async (given: Server, settings: Environment, options: ServerOptions): Promise<Server> => {
  const hide = showWhereWaitsFail(() => `the end of the server's log:\n${given.log().slice(-SHOWN)}`);
  const server: Server = {
    ...given,
    cleanup: () => {
      hide();
      return given.cleanup();
    },
  };
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
