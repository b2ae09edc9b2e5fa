import { join } from 'node:path';
import * as z from 'zod';
import { peekStateFile } from '../host/state-file.ts';
import type { Snapshot } from './store.ts';

/** What is written down beside a snapshot, in about.json. */
const format = z.object({
  /** See readState: of the repository, as it was just before. */
  state: z.string(),
  /** The number of the last transaction. Null: there was no index. */
  transaction: z.number().nullable(),
  /** For how long former states of it were kept then, as readSnapshotKeep reads it. */
  keep: z.string(),
  segments: z.number(),
  bytes: z.number(),
  /** Whether nobody but root can change what it shares with the repository. */
  protected: z.boolean(),
  /** Bytes on the disk that the older snapshots hold, and this one does not. They are counted when it is taken, or an older one goes. */
  olderHold: z.number(),
  /** It stays as if it were the last one of its day. */
  spared: z.boolean().optional(),
});

export type About = z.infer<typeof format>;

/** Null where it is not there or cannot be read. */
export const readAbout = ({ path }: Pick<Snapshot, 'path'>): About | null => peekStateFile(aboutFile(path), format);

export const aboutFile = (snapshot: string): string => join(snapshot, 'about.json');
