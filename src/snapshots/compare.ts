import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { INDEX_HEADER_BYTES, readObjectCount } from '../borg/index-header.ts';
import { type Identity, readIdentity } from '../borg/repository-identity.ts';
import { inFolder } from '../system/folder-handle.ts';
import { openBounded } from '../system/plain-file.ts';
import { readAbout } from './about.ts';
import { segmentsIn } from './held.ts';
import type { Snapshot } from './store.ts';

/** What a snapshot says of its repository without a key. Null: not known. */
export type Described = Pick<Snapshot, 'number'> &
  Identity & {
    /** Milliseconds since the epoch. */
    readonly at: number | null;
    readonly bytes: number | null;
    readonly segments: number | null;
    readonly transaction: number | null;
    /** Archives are some of them. A repository without any has one. */
    readonly objects: number | null;
  };

export const describeSnapshot = (snapshot: Snapshot): Described => {
  const about = readAbout(snapshot);
  const { number, at } = snapshot;
  const transaction = about?.transaction ?? null;
  const read = inFolder(join(snapshot.path, 'repository'), (folder) => {
    const objects =
      transaction === null
        ? null
        : openBounded(join(folder.path, `index.${transaction}`), (part, { allocated }) =>
            readObjectCount(part(0, INDEX_HEADER_BYTES), allocated),
          );
    return { objects, ...readIdentity(folder) };
  });
  return {
    ...{ number, at, transaction, bytes: about?.bytes ?? null, segments: about?.segments ?? null },
    ...(read ?? { objects: null, id: null, key: null }),
  };
};

/** How many segments of `one` the other does not have, and their bytes. */
export const lackingIn = (one: Snapshot, other: Snapshot): { readonly segments: number; readonly bytes: number } => {
  const [here, there] = [one, other].map(({ path }) => join(path, 'repository')) as [string, string];
  let [segments, bytes] = [0, 0];
  for (const name of segmentsIn(here)) {
    const { ino, size } = lstatSync(join(here, 'data', name));
    // A number may be used again. What they share is one file.
    if (lstatSync(join(there, 'data', name), { throwIfNoEntry: false })?.ino === ino) continue;
    segments += 1;
    bytes += size;
  }
  return { segments, bytes };
};
