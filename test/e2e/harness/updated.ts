import { updateExitCode, updateText } from '../../../src/cli/update.ts';
import { askFromOutside } from './ask-from-outside.ts';
import type { Server } from './server.ts';

/**
 * Lets the server apply its key tree now, as `update-borgusers` does. Most tests change keys, so they ask from outside. `smoke` and
 * `hot-changes` run the command itself.
 *
 * @throws Error with what the command prints, where the command would not end with 0
 */
export const updated = async (server: Server): Promise<void> => {
  const report = await askFromOutside(server, { command: 'update', dryRun: false });
  if (updateExitCode(report) !== 0) throw new Error(updateText(report, false));
};
