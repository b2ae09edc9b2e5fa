import { updateExitCode, updateText } from '../../../src/cli/update.ts';
import { askServer } from '../../../src/control/client.ts';
import { PLACES } from '../../../src/places.ts';
import { until } from './machine.ts';
import type { Server } from './server.ts';
import { firstProcess } from './small-disk.ts';

/**
 * Lets the server apply its key tree now, as `update-borgusers` does. This asks as the command does, but from here, through the server's own
 * root: the command takes a third of a second of CPU, and most tests change keys. `smoke` and `hot-changes` run the command itself.
 *
 * A pass makes way for the next one as soon as the watch tells of a file, such as one that a test has just written. The command shows what then goes
 * on. A test waits for it.
 *
 * @throws Error with what the command prints, where the command would not end with 0
 */
export const updated = (server: Server): Promise<void> =>
  until('an update to be complete', async (saw) => {
    const request = { command: 'update', dryRun: false } as const;
    const report = await askServer(`/proc/${firstProcess(server)}/root${PLACES.run}`, request);
    if (report === null) throw new Error('no server answers');
    if (updateExitCode(report) !== 0) throw new Error(updateText(report, false));
    return saw(report.findings.filter(({ code }) => code === 'adoption-interrupted')).length === 0;
  }).then(() => {});
