import { createLog } from '../log.ts';
import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';
import { requireLease } from '../start/lease.ts';
import { checkRepositoriesDisk, claimDisk } from '../start/repositories-disk.ts';
import { prepareRepositoriesFolder } from '../start/repositories-folder.ts';
import { createPass, type PassReport } from './pass.ts';
import type { Preparing } from './prepare.ts';
import { openWorld } from './world.ts';

/**
 * One pass without a server. It holds the lease meanwhile.
 *
 * @throws Error with cause `{ code: 'missing-disk' }` where /repos is not what was there before; `{ code: 'lease-held', remedy }` where a server runs that cannot be asked, in another container for example
 */
export const passAlone = async (
  settings: Settings,
  places: Places,
  dryRun: boolean,
  onPreparing: (now: Preparing | null) => void,
): Promise<PassReport> => {
  checkRepositoriesDisk(places);
  prepareRepositoriesFolder(places, settings);
  const lease = await requireLease(
    places,
    'if it is a server, it is still starting (its log says how far it is), or runs in another container (run update-borgusers in that one: docker exec)',
  );
  try {
    const log = createLog({ LOG_FORMAT: 'text', LOG_LEVEL: 'error' });
    if (!dryRun) claimDisk(places, log);
    const pass = createPass(openWorld(settings, places, log, () => {}, onPreparing));
    return await pass({ occasion: 'asked', dryRun }, new AbortController().signal);
  } finally {
    await lease.release();
  }
};
