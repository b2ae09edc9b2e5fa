import { endConnection } from './end-connection.ts';
import { type ProcessName, processId } from './processes.ts';
import type { TrailLog } from './trail.ts';

/**
 * Ends connections, each once at a time, and says so in the trail when it was seen.
 *
 * @param onEnded called after each
 * @param onAlive called for each that could not be ended
 */
export const createEnding = (log: TrailLog, onEnded: () => void, onAlive: (root: ProcessName) => void) => {
  const underWay = new Map<string, Promise<void>>();
  const below = new Map<string, ReadonlySet<string>>();

  const run = async (root: ProcessName, facts: object, reason: string, what: string): Promise<void> => {
    const how = await endConnection(root, (all) => below.set(processId(root), new Set(all.map(processId))));
    if (how === 'alive') return onAlive(root);
    log.warn({ ...facts, reason }, `${what} ended`);
    if (how === 'killed') log.warn({ ...facts, reason }, `${what} killed: it did not end by itself`);
  };

  return {
    /**
     * @param facts what identifies it
     * @param what it is, for the trail
     */
    end: (root: ProcessName, facts: object, reason: string, what: 'session' | 'process' = 'session'): void => {
      const name = processId(root);
      if (underWay.has(name)) return;
      const over = (): void => {
        underWay.delete(name);
        below.delete(name);
      };
      const done = run(root, facts, reason, what).then(
        () => {
          over();
          onEnded();
        },
        // What could not be looked at is tried again by the next sweep, in its own time.
        over,
      );
      underWay.set(name, done);
    },
    /** Whether it is being ended, by itself or with what it runs below: told twice, borg may leave its lock behind. */
    covers: (process: ProcessName): boolean => [...below.values()].some((each) => each.has(processId(process))),
    /** Resolves when all that is being ended has ended. */
    settled: async (): Promise<void> => {
      await Promise.all(underWay.values());
    },
  };
};
