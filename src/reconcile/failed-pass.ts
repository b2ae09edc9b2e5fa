/** Beside the error, which is somebody else's object. */
const rechecks = new WeakMap<object, number | null>();

/**
 * Marks what a pass throws with when a loss that waits may count, so that its failure delays no revocation.
 *
 * @param recheckIn milliseconds; null where none waits
 */
export const withRecheck = (error: unknown, recheckIn: number | null): unknown => {
  if (error instanceof Error) rechecks.set(error, recheckIn);
  return error;
};

/** What withRecheck has said of it, or null. */
export const recheckOf = (error: unknown): number | null =>
  (error instanceof Error ? rechecks.get(error) : null) ?? null;
