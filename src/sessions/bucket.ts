/**
 * A token bucket: whether one more line may be written now. So many at once, and so many a second after that.
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
