/**
 * The worse of two exit codes of borg. Classic: 0 success, 1 warning, 2 error, 128 + N ended by signal N. With
 * BORG_EXIT_CODES=modern also 3 to 99 for an error and 100 to 127 for a warning (borg documentation, "Return codes").
 */
export const worseExitCode = (a: number, b: number): number => (severity(b) > severity(a) ? b : a);

const severity = (code: number): number => {
  if (code === 0) return 0;
  if (code === 1 || (code >= 100 && code < 128)) return 1;
  return code < 128 ? 2 : 3;
};
