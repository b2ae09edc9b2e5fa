import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { namesIn, type Snapshot } from './store.ts';

const BLOCK = 512;
/** After so many names others get their turn. */
const TURN = 500;
/** A client may make more segments than fit into the server's memory, again and again. Of those beyond, nothing is counted. */
const MOST_NAMES = 300_000;

/**
 * How many bytes on the disk some snapshots hold that the newest one does not: about what goes when they go. A file that several of them have counts
 * once. borg rarely uses the number of a segment again, so names are compared, and only what the newest lacks is looked at.
 *
 * @param older in any order
 * @param newest the folder `repository` of it
 */
export const heldByOlder = async (older: readonly Pick<Snapshot, 'path'>[], newest: string): Promise<number> => {
  const seen = new Set<string>();
  let [bytes, looked] = [0, 0];
  for (const name of older.length > 0 ? segmentsIn(newest) : []) if (seen.size < MOST_NAMES) seen.add(name);
  for (const { path } of older) {
    const repository = join(path, 'repository');
    for (const name of segmentsIn(repository)) {
      looked += 1;
      if (looked % TURN === 0) await setImmediate();
      if (seen.has(name)) continue;
      if (seen.size >= MOST_NAMES) return bytes;
      seen.add(name);
      bytes += (lstatSync(join(repository, 'data', name), { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK;
    }
  }
  return bytes;
};

/** FOLDER/NUMBER below `data`. @param repository the folder of this name in a snapshot: only root can reach it */
export function* segmentsIn(repository: string): Generator<string> {
  for (const folder of namesIn(join(repository, 'data')))
    for (const name of namesIn(join(repository, 'data', folder))) yield `${folder}/${name}`;
}
