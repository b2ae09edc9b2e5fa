import { printable } from '../text/printable.ts';
import type { NotDone } from './program.ts';

/** A repository of which no snapshot can be taken just now. `why` is printable. `since`: milliseconds since the epoch. */
export type Failing = NotDone & { readonly since: number };

/** What the log is told here. */
export type SnapshotLog = Readonly<Record<'info' | 'warn', (facts: object, message: string) => void>>;

/** A failure that lasts is told again. */
const REMIND_MS = 24 * 3_600_000;

/** Remembers of which repositories no snapshot could be taken, and tells the log: once, each day again, and when it is over. */
export const createFailing = (log: SnapshotLog, now: () => number) => {
  const known = new Map<string, Failing & { readonly told: number }>();
  return {
    failed: (path: string, { code, why }: NotDone): void => {
      const before = known.get(path);
      const isTold = before?.code === code && now() - before.told < REMIND_MS;
      known.set(path, { code, why, since: before?.since ?? now(), told: isTold ? before.told : now() });
      if (!isTold)
        log.warn(
          { repository: printable(path, 200), error: why },
          'no snapshot of this repository could be taken; it is tried again',
        );
    },
    over: (path: string): void => {
      if (known.delete(path))
        log.info({ repository: printable(path, 200) }, 'snapshots of this repository are taken again');
    },
    /** It is no repository any more, or has no snapshots. */
    forget: (path: string): void => void known.delete(path),
    of: (path: string): Failing | null => {
      const { code, why, since } = known.get(path) ?? {};
      return code === undefined || why === undefined || since === undefined ? null : { code, why, since };
    },
    paths: (): Iterable<string> => known.keys(),
  };
};
