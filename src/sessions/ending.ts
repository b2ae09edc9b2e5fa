import { endConnection, type ProcessName } from './end-connection.ts';
import type { TrailLog } from './trail.ts';

/**
 * Ends connections, each once, and says so in the trail.
 *
 * @param onEnded called after each
 */
export const createEnding = (log: TrailLog, onEnded: () => void) => {
  const underWay = new Map<string, Promise<void>>();

  const run = async (root: ProcessName, facts: object, reason: string, told: boolean): Promise<void> => {
    const how = await endConnection(root);
    if (how === 'killed' && !told) log.warn({ ...facts, reason }, 'session killed: it did not end by itself');
  };

  return {
    /**
     * @param facts what identifies the session
     * @param told it was tried before, and said
     */
    end: (root: ProcessName, facts: object, reason: string, told = false): void => {
      const name = processId(root);
      if (underWay.has(name)) return;
      if (!told) log.warn({ ...facts, reason }, 'session ended');
      const done = run(root, facts, reason, told).finally(() => {
        underWay.delete(name);
        onEnded();
      });
      // Without /proc nothing could be ended; the next sweep tries again.
      underWay.set(
        name,
        done.catch(() => {}),
      );
    },
    /** Resolves when all that is being ended has ended. */
    settled: async (): Promise<void> => {
      await Promise.all(underWay.values());
    },
  };
};

/** As text, for maps. */
export const processId = ({ pid, start }: ProcessName): string => `${pid} ${start}`;
