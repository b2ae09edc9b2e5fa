/** setTimeout takes no more; a later expiry is looked at again by then. */
const LONGEST_TIMER_MS = 24 * 3600 * 1000;

/** One timer for the next key that expires: calls `judge` when that is over, or after a day. */
export const createExpiryTimer = (judge: () => void) => {
  let timer: NodeJS.Timeout | null = null;
  return {
    /** @param next milliseconds since the epoch; null: none */
    set: (next: number | null): void => {
      if (timer) clearTimeout(timer);
      // sshd counts whole seconds, and the key is good in the second that is named.
      timer = next === null ? null : setTimeout(judge, Math.min(next - Date.now() + 1000, LONGEST_TIMER_MS));
    },
  };
};
