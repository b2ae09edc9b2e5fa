/**
 * The worse of two exit codes of borg. Classic: 0 success, 1 warning, 2 error, 128 + N ended by signal N. With
 * BORG_EXIT_CODES=modern also 3 to 99 for an error and 100 to 127 for a warning (borg documentation, "Return codes").
 */
export const worseExitCode = (a: number, b: number): number => (exitSeverity(b) > exitSeverity(a) ? b : a);

/** How bad an exit code of borg is: 0 success, 1 warning, 2 error, 3 ended by a signal. */
export const exitSeverity = (code: number): 0 | 1 | 2 | 3 => {
  if (code === 0) return 0;
  if (code === 1 || (code >= 100 && code < 128)) return 1;
  return code < 128 ? 2 : 3;
};
