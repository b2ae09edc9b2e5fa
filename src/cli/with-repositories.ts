import { lstatSync } from 'node:fs';
import { readHostId } from '../borg/host-id.ts';
import { clearStaleLocks } from '../borg/stale-locks.ts';
import { askServer } from '../control/client.ts';
import { failure } from '../failure.ts';
import type { Places } from '../places.ts';
import { requireLease } from '../start/lease.ts';

/** @throws Error with cause `{ code: 'missing-mount', path }` where there is no /repos */
export const requireRepositories = (places: Places): void => {
  if (lstatSync(places.repos, { throwIfNoEntry: false })?.isDirectory()) return;
  throw failure('there is no folder for the repositories: mount it', { code: 'missing-mount', path: places.repos });
};

/**
 * Locks name the server's host id and a PID. So a process that uses the id must see the PIDs of all others that use it: it runs
 * beside the server in its container, or alone.
 *
 * @throws Error with cause `{ code: 'lease-held', path, remedy }` beside a server of another container
 */
export const withRepositories = async (
  places: Places,
  use: (hostId: string, isAlone: boolean) => Promise<number>,
): Promise<number> => {
  if (await serverIsHere(places)) return use(readHostId(places), false);
  const lease = await requireLease(
    places,
    'run it inside the running server: docker exec CONTAINER borg …; if this is the server, it is still starting',
  );
  try {
    const hostId = readHostId(places);
    for (const { repository, lock, failure } of await clearStaleLocks(places, hostId)) {
      const what = failure ? `could not be removed (${failure})` : 'was removed';
      console.error(`borgserver: ${repository}: a lock that a dead server left behind ${what}: ${lock}`);
    }
    return await use(hostId, true);
  } finally {
    await lease.release();
  }
};

/** The run folder is this container's own, so a server that answers there has the same PIDs as this process. */
const serverIsHere = async (places: Places): Promise<boolean> =>
  (await askServer(places.run, { command: 'ping' })) !== null;
