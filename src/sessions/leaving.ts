import { isAlive } from './end-connection.ts';
import { processId } from './ending.ts';
import type { Session } from './session.ts';

/**
 * Sessions that are over by sshd's word, while their process still runs. Mostly that ends in the same moment. But sshd names a
 * connection by the client's address and port alone, and a client can have two of one name, to two addresses of the server: by
 * the end of the one it would hide the other from whoever removes its key.
 */
export const createLeaving = () => {
  const leaving = new Map<string, { readonly session: Session; readonly how: string }>();
  return {
    /**
     * @param how it ended, for the trail
     * @returns whether the session has to be kept in mind
     */
    take: (session: Session, how: string): boolean => {
      if (session.process === null || !isAlive(session.process)) return false;
      leaving.set(processId(session.process), { session, how });
      return true;
    },
    sessions: (): readonly Session[] => [...leaving.values()].map(({ session }) => session),
    /** Hands out those whose process has ended, each once. */
    gone: (): readonly { readonly session: Session; readonly how: string }[] => {
      const ended = [...leaving].filter(([, { session }]) => session.process && !isAlive(session.process));
      for (const [name] of ended) leaving.delete(name);
      return ended.map(([, each]) => each);
    },
  };
};
