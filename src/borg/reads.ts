/** Commands of borg that only look at a repository. Its lock and its index, which borg makes anew, do not count. */
export const READS: ReadonlySet<string> = new Set([
  ...['list', 'info', 'extract', 'diff', 'export-tar', 'key export', 'key export-related-secrets'],
  ...['debug dump-archive', 'debug dump-archive-items', 'debug dump-hints', 'debug dump-manifest'],
  ...['debug dump-repo-objs', 'debug get-obj', 'debug id-hash', 'debug refcount-obj', 'debug search-repo-objs'],
]);
