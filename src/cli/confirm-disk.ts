import { askServer } from '../control/client.ts';
import { failure, failureInLines } from '../failure.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { acquireLease } from '../start/lease.ts';
import { adoptDisk, CONFIRM_DISK, judgeRepositoriesDisk } from '../start/repositories-disk.ts';
import { prepareRepositoriesFolder } from '../start/repositories-folder.ts';

/** Whether the disk of /repos is to be confirmed, and not a repository. */
export const confirmsDisk = (names: readonly string[] | undefined): boolean => names?.includes(CONFIRM_DISK) === true;

/**
 * `update-borgusers --confirm /repos`: the operator knows that /repos has changed, and confirms what is there now. It works only
 * where no server runs: after a refused start, in a container for this one command.
 *
 * @returns the exit code: 0 confirmed, 3 not
 */
export const runConfirmDisk = async (places: Places, names: readonly string[], dryRun: boolean): Promise<0 | 3> => {
  try {
    console.log(await confirm(places, names, dryRun));
    return 0;
  } catch (error) {
    console.error(failureInLines(error));
    return 3;
  }
};

const confirm = async (places: Places, names: readonly string[], dryRun: boolean): Promise<string> => {
  if (names.length > 1) throw refused('confirm /repos alone, without names of repositories');
  if (await askServer(places.run, { command: 'ping' })) throw refused('the server runs with what is in /repos');
  if (judgeRepositoriesDisk(places).verdict.kind !== 'doubtful')
    throw refused('/repos is what the server expects: it starts without a confirmation');
  if (dryRun) return 'Would confirm: the next start goes on with what is in /repos now.';
  prepareRepositoriesFolder(places, requireSettings(process.env));
  const lease = await acquireLease(places);
  if ('heldBy' in lease) throw refused('a server or another command uses /repos just now');
  try {
    adoptDisk(places);
  } finally {
    await lease.release();
  }
  return 'Confirmed: the next start goes on with what is in /repos now.';
};

const refused = (why: string): Error => failure(`nothing was confirmed: ${why}`, { code: 'nothing-to-confirm' });
