import { closeSync, type Dirent, fstatSync, opendirSync, type Stats } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { failure } from '../failure.ts';
import { holdAny, openIfThere, pathOfOpen } from '../system/open.ts';

/** After so many milliseconds others get their turn. */
const TURN_MS = 10;
/** How deep folders of a repository are nested at most: borg makes three levels. Each level keeps two files open. */
export const DEEPEST = 100;

/**
 * Visits everything below a folder, whoever may exchange names there meanwhile: no link is followed, and each entry is first held and then looked at.
 *
 * @param path a folder, best through a descriptor
 * @param signal stops it between two entries
 * @param visit gets a path that leads to the very entry which `found` describes, a link too. A folder comes before what is in it
 * @throws the system's error; Error with cause `{ code: 'too-deep', most }`, or where `visit` throws `{ code: 'unchangeable', path, found }`
 */
export const walk = async (
  path: string,
  signal: AbortSignal,
  visit: (entry: string, found: Stats) => void,
): Promise<void> => {
  let turn = performance.now();
  const inside = async (folder: string, below: string, depth: number): Promise<void> => {
    if (depth > DEEPEST) throw failure('its folders are nested too deeply', { code: 'too-deep', most: DEEPEST });
    const listing = opendirSync(folder, { encoding: 'buffer' as BufferEncoding });
    try {
      // Names are bytes: as text, one that is not UTF-8 would not be found again.
      for (let entry = read(listing); entry; entry = read(listing)) {
        if (performance.now() - turn > TURN_MS) {
          await setImmediate();
          turn = performance.now();
        }
        signal.throwIfAborted();
        // It may have been removed since it was listed.
        const held = openIfThere(Buffer.concat([Buffer.from(`${folder}/`), entry.name]), holdAny);
        if (held === null) continue;
        try {
          const [found, shown] = [fstatSync(held), `${below}${entry.name.toString('utf8')}`];
          named(shown, () => visit(pathOfOpen(held), found));
          if (found.isDirectory()) await inside(pathOfOpen(held), `${shown}/`, depth + 1);
        } finally {
          closeSync(held);
        }
      }
    } finally {
      listing.closeSync();
    }
  };
  await inside(path, '', 1);
};

/** The types of Node know of no folder that is read as bytes. */
const read = (listing: { readonly readSync: () => Dirent | null }): Dirent<Buffer> | null =>
  listing.readSync() as Dirent<Buffer> | null;

/** The system's own words name a descriptor, which says nothing to a person. */
const named = (path: string, act: () => void): void => {
  try {
    act();
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw failure('an entry could not be changed', { code: 'unchangeable', path, found });
  }
};
