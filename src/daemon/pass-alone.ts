import type { Places } from '../places.ts';
import type { Settings } from '../settings.ts';
import { prepareRepositoriesFolder } from './first-start.ts';
import { acquireLease } from './lease.ts';
import { createLog } from './log.ts';
import { createPass, type PassReport } from './pass.ts';
import { openWorld } from './world.ts';

/**
 * One pass without a server, holding the lease meanwhile.
 *
 * @throws Error with cause `{ code: 'lease-held' }` where a server runs that cannot be asked, in another container for example
 */
export const passAlone = async (settings: Settings, places: Places, dryRun: boolean): Promise<PassReport> => {
  prepareRepositoriesFolder(places, settings.PGID);
  const lease = await acquireLease(places);
  if ('heldBy' in lease) {
    throw new Error(
      'a server uses these repositories, but not in this container: run update-borgusers in it (docker exec)',
      {
        cause: { code: 'lease-held', path: places.repos },
      },
    );
  }
  try {
    const pass = createPass(
      openWorld(settings, places, createLog({ LOG_FORMAT: 'text', LOG_LEVEL: 'error' }), () => {}),
    );
    return await pass({ losses: 'at-once', dryRun }, new AbortController().signal);
  } finally {
    await lease.release();
  }
};
