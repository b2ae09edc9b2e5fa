import * as z from 'zod';
import { askSnapshotProgram, type NotDone, type Source } from './program.ts';

const format = z.object({
  transaction: z.number().nullable(),
  segments: z.number(),
  bytes: z.number(),
  locked: z.boolean(),
  seconds: z.number(),
  protected: z.boolean(),
});

export type Taken = z.infer<typeof format>;

/**
 * Takes a snapshot (image/snapshots/take.py says how).
 *
 * @param python borg's interpreter
 * @param hostId in whose name it takes borg's lock
 * @param into an empty folder of root's, on the same file system. If no snapshot is taken, it is empty again, or was not reached
 * @param signal ends it. A lock that is left then names a process that is gone
 */
export const takeSnapshot = (
  { python, hostId }: { readonly python: string; readonly hostId: string },
  { repos, path, uid, gid, admins }: Source,
  into: string,
  signal: AbortSignal,
): Promise<Taken | NotDone> => {
  const words = ['take', repos, path, into, hostId, ...[uid, gid, admins].map(String)];
  return askSnapshotProgram(python, words, format, { signal });
};
