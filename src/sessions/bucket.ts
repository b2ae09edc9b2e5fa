/**
 * A token bucket. It says whether one more line may be written now: `burst` lines at once, and `perSecond` more each second after that.
 *
 * @param now milliseconds of a steady clock
 */
export const createBucket = (burst: number, perSecond: number, now: () => number): (() => boolean) => {
  let tokens = burst;
  let filledAt = now();
  return () => {
    const time = now();
    tokens = Math.min(burst, tokens + ((time - filledAt) / 1000) * perSecond);
    filledAt = time;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };
};
