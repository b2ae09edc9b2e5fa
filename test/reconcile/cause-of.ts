/** The cause of the error that an action ends with; undefined where it ends with none. */
export const causeOf = (action: () => void): unknown => {
  try {
    action();
  } catch (error) {
    return error instanceof Error ? error.cause : error;
  }
  return undefined;
};
