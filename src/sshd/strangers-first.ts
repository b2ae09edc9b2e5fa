/** oom_score_adj of a client that has not logged in: the highest possible value. */
export const STRANGER = 1000;

/**
 * The words that start sshd so that the kernel ends its connections before anything else if memory runs out.
 *
 * sshd remembers its own oom_score_adj before it listens, and gives each connection that value again (platform_pre_listen and
 * platform_post_fork_child, openbsd-compat/port-linux.c). In between it tries to set itself to -1000, which needs
 * CAP_SYS_RESOURCE. Any process may raise the value. src/sessions/memory-order.ts lowers it again once sshd listens.
 */
export const strangersFirst = (program: string, ...words: readonly string[]): readonly [string, ...string[]] => [
  '/bin/sh',
  '-c',
  `{ echo ${STRANGER} >/proc/self/oom_score_adj; } 2>/dev/null; exec "$0" "$@"`,
  program,
  ...words,
];
