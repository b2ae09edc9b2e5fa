import { askServer } from '../../../src/control/client.ts';
import type { ControlReplies, ControlRequest } from '../../../src/control/protocol.ts';
import { PLACES } from '../../../src/places.ts';
import type { Server } from './server.ts';
import { firstProcess } from './small-disk.ts';

/**
 * Asks the server what a command of it asks, but from here, through the server's own root: the command takes a quarter of a second of CPU, and
 * tests ask again and again.
 *
 * @throws Error where no server answers
 */
export const askFromOutside = async <C extends ControlRequest['command']>(
  server: Server,
  request: Extract<ControlRequest, { command: C }>,
): Promise<ControlReplies[C]> => {
  const reply = await askServer(`/proc/${firstProcess(server)}/root${PLACES.run}`, request);
  if (reply === null) throw new Error('no server answers');
  return reply;
};
