import { type ProcessStart, startOf } from '../system/proc.ts';

/**
 * Knows in whose folders somebody just changes owners and modes. No snapshot may be taken there meanwhile: a file that just becomes root's, as a
 * snapshot shares it, could be given back to its account.
 */
export const createHolds = () => {
  const works = new Map<string, number>();
  const holders = new Map<string, ProcessStart>();
  return {
    isHeld: (account: string): boolean => {
      const holder = holders.get(account);
      if (holder && startOf(holder.pid)?.start !== holder.start) holders.delete(account);
      return works.has(account) || holders.has(account);
    },
    /** Holds it while `work` is done, which begins once `before` has resolved. @param signal ends the waiting for that */
    during: async <T>(
      account: string,
      before: Promise<void>,
      signal: AbortSignal,
      work: () => Promise<T>,
    ): Promise<T> => {
      works.set(account, (works.get(account) ?? 0) + 1);
      try {
        await Promise.race([before, aborted(signal)]);
        signal.throwIfAborted();
        return await work();
      } finally {
        const left = (works.get(account) ?? 1) - 1;
        if (left > 0) works.set(account, left);
        else works.delete(account);
      }
    },
    /** Holds it as long as this process lives. */
    holdFor: (account: string, pid: number): void => {
      const holder = startOf(pid);
      if (holder) holders.set(account, holder);
    },
  };
};

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
