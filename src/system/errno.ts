/** The system's code of an error (errno(3): ENOENT, EACCES, …), or null for anything else that was thrown. */
export const errorCode = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
