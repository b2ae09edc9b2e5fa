/** Names one process for ever. The kernel may give its pid again, but with another start. */
export type ProcessId = {
  readonly pid: number;
  /** Clock ticks (1/100 s) since boot at which it began (proc_pid_stat(5), field 22). */
  readonly start: number;
};

/** As text, for maps. */
export const idOf = ({ pid, start }: ProcessId): string => `${pid} ${start}`;

/** What proc_pid_stat(5) counts in; the kernel's USER_HZ is 100 wherever this runs. */
export const TICKS_PER_SECOND = 100;

/** The first process, which adopts those whose parent has ended. */
export const INIT = 1;

/** A process as root may see it without CAP_SYS_PTRACE: no environment, no file descriptors, no limits of another user's. */
export type Process = ProcessId & {
  readonly parent: number;
  /** Real user id. */
  readonly uid: number;
  /** All of it has ended and waits to be reaped. A process of which only the first thread has ended looks like that, and goes on. */
  readonly ended: boolean;
};

/** Everything below a process in this list, each once, even where two name each other as parents. */
export const descendants = (pid: number, children: ReadonlyMap<number, readonly Process[]>): readonly Process[] => {
  const found = new Set(children.get(pid));
  // The set grows while this loop walks through it.
  for (const process of found) for (const child of children.get(process.pid) ?? []) found.add(child);
  return [...found];
};
