/** Whether a disk, or a quota of a file system, has no room left. */
export const isFull = (error: unknown): boolean => ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '');

/** The system's code of an error (errno(3): ENOENT, EACCES, …), or null for anything else that was thrown. */
export const errorCode = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
