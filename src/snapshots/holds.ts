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
    /** Holds it until what was returned is called. */
    hold: (account: string): (() => void) => {
      works.set(account, (works.get(account) ?? 0) + 1);
      return () => {
        const left = (works.get(account) ?? 1) - 1;
        if (left > 0) works.set(account, left);
        else works.delete(account);
      };
    },
    /** Holds it as long as this process lives. */
    holdFor: (account: string, pid: number): void => {
      const holder = startOf(pid);
      if (holder) holders.set(account, holder);
    },
  };
};
