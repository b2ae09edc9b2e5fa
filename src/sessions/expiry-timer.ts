import type { Clock } from '../system/clock.ts';

/** Below the limit of setTimeout. A later expiry is looked at again by then. */
const LONGEST_TIMER_MS = 24 * 3600 * 1000;

/** One timer for the next key that expires. It calls `judge` once that key has expired, or after a day. */
export const createExpiryTimer = (clock: Pick<Clock, 'now' | 'after'>, judge: () => void) => {
  let timer: ReturnType<Clock['after']> | null = null;
  return {
    /** @param next milliseconds since the epoch; null: none */
    set: (next: number | null): void => {
      timer?.cancel();
      // sshd counts whole seconds, and the key is still good in the second that is named.
      timer = next === null ? null : clock.after(Math.min(next - clock.now() + 1000, LONGEST_TIMER_MS), judge);
    },
  };
};
