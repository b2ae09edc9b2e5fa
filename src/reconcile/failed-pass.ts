/** Kept beside the error: the error itself belongs to other code. */
const rechecks = new WeakMap<object, number | null>();

/**
 * Adds to the error of a pass when a waiting loss may count. So the failure delays no revocation.
 *
 * @param recheckIn milliseconds; null where none waits
 */
export const withRecheck = (error: unknown, recheckIn: number | null): unknown => {
  if (error instanceof Error) rechecks.set(error, recheckIn);
  return error;
};

/** What withRecheck has added to it, or null. */
export const recheckOf = (error: unknown): number | null =>
  (error instanceof Error ? rechecks.get(error) : null) ?? null;
