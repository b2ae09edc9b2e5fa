import { updateExitCode, updateText } from '../../../src/cli/update.ts';
import { askFromOutside } from './ask-from-outside.ts';
import { until } from './machine.ts';
import type { Server } from './server.ts';

/**
 * Lets the server apply its key tree now, as `update-borgusers` does. Most tests change keys, so they ask from outside. `smoke` and
 * `hot-changes` run the command itself.
 *
 * A pass makes way for the next one as soon as the watch tells of a file, such as one that a test has just written. The command shows what then goes
 * on. A test waits for it.
 *
 * @throws Error with what the command prints, where the command would not end with 0
 */
export const updated = (server: Server): Promise<void> =>
  until('an update to be complete', async (saw) => {
    const report = await askFromOutside(server, { command: 'update', dryRun: false });
    if (updateExitCode(report) !== 0) throw new Error(updateText(report, false));
    return saw(report.findings.filter(({ code }) => code === 'adoption-interrupted')).length === 0;
  }).then(() => {});
