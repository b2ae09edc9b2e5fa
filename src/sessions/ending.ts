import type { Ending, endConnection } from './end-connection.ts';
import { idOf, type ProcessId } from './process.ts';
import type { TrailLog } from './trail.ts';

/** What is ended, in the words of the trail: the root process of a session, or all that a user id has under no connection. */
type Target = Pick<Ending, 'roots' | 'uid'> & { readonly kind: 'session' | 'process' };

/**
 * Ends connections and what has left them. No target is ended twice at once. The trail tells of an end once it was seen.
 *
 * @param end ends one, and tells what it has seen
 * @param look looks for processes of accounts under no connection, and for hosted sessions
 * @param onEnded called after each
 * @param onAlive called for each that could not be ended
 */
export const createEnding = (
  log: TrailLog,
  end: typeof endConnection,
  look: Pick<Ending, 'outsiders' | 'hosted'>,
  onEnded: () => void,
  onAlive: (root: ProcessId | undefined) => void,
) => {
  const underWay = new Map<string, Promise<void>>();
  const below = new Map<string, ReadonlySet<string>>();

  const run = async (name: string, what: Target, facts: object, reason: string): Promise<void> => {
    const onFound = (all: readonly ProcessId[]): unknown => below.set(name, new Set(all.map(idOf)));
    const how = await end({ ...what, ...look }, onFound);
    if (how === 'alive') return onAlive(what.roots[0]);
    log.warn({ ...facts, reason }, `${what.kind} ended`);
    if (how === 'killed') log.warn({ ...facts, reason }, `${what.kind} killed: it did not end by itself`);
  };

  return {
    /** @param facts what identifies it, for the trail */
    end: (what: Target, facts: object, reason: string): void => {
      const name = what.kind === 'process' ? `of ${what.uid}` : what.roots.map(idOf).join();
      if (underWay.has(name)) return;
      const over = (): void => {
        underWay.delete(name);
        below.delete(name);
      };
      const done = run(name, what, facts, reason).then(
        () => {
          over();
          onEnded();
        },
        // The look has failed: the next sweep tries again, in its own time.
        over,
      );
      underWay.set(name, done);
    },
    /** Whether it is being ended, alone or with what is above it: a borg that is told twice may leave its lock behind. */
    covers: (process: ProcessId): boolean => [...below.values()].some((each) => each.has(idOf(process))),
    /** Resolves when all that is being ended has ended. */
    settled: async (): Promise<void> => {
      await Promise.all(underWay.values());
    },
  };
};
