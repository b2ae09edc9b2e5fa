import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

type Pid = number | 'self';

/**
 * Files that are read again and again, for all processes or for one that lives for a millisecond, are read as UTF-8. Node has a path of its own
 * for that, which takes a third less CPU. What is looked for in them is ASCII.
 */
const QUICK = 'utf8';

/**
 * What the kernel tells of a process in proc_pid_status(5).
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readStatus = (pid: Pid, proc = '/proc'): string => readFileSync(`${proc}/${pid}/status`, QUICK);

/**
 * One field of it, such as `Uid`; null where this kernel does not tell it.
 *
 * A line begins after \n and nowhere else. The first one is the name, which the process chooses (PR_SET_NAME): of the characters that begin
 * a line for JavaScript (the flag m) the kernel escapes \n alone, so a name with \r in it could be another field.
 */
export const statusField = (status: string, name: string): string | null => {
  const line = `${name}:`;
  const at = status.startsWith(line) ? 0 : status.indexOf(`\n${line}`) + 1;
  if (!status.startsWith(line, at)) return null;
  const end = status.indexOf('\n', at);
  return status.slice(at + line.length, end < 0 ? undefined : end).replace(/^[ \t]+/, '');
};

/**
 * The fields of proc_pid_stat(5) from the third on.
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readStatFields = (pid: Pid, proc = '/proc'): readonly string[] =>
  statFields(readFileSync(`${proc}/${pid}/stat`, QUICK));

/** A PID and the time at which its process began: together they name one process, until the machine starts anew. */
export type ProcessStart = { readonly pid: number; readonly start: string };

/** Null where it is gone. */
export const startOf = (pid: number): ProcessStart | null => {
  try {
    // proc_pid_stat(5): field 22; the list begins with the third.
    return { pid, start: readStatFields(pid)[19] ?? '' };
  } catch {
    return null;
  }
};

/**
 * The command line of a process. It is the process' own text. Empty where it has ended and waits to be reaped.
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readWords = (pid: Pid, proc = '/proc'): readonly string[] =>
  readFileSync(`${proc}/${pid}/cmdline`, 'latin1').split('\0');

/** The second field, the program's name, may hold blanks and parentheses, so the fields are counted from its end. */
export const statFields = (stat: string): readonly string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ');

/** Whether a process may use the capability of this number (capabilities(7)). */
export type Capable = (number: number) => boolean;

/**
 * The effective capabilities of a process; all of them where the kernel does not tell.
 *
 * @param status what /proc/PID/status says (CapEff)
 */
export const capabilitiesOf = (status: string): Capable => {
  const found = /^[0-9a-f]+$/.exec(statusField(status, 'CapEff') ?? '')?.[0];
  if (found === undefined) return () => true;
  const effective = BigInt(`0x${found}`);
  return (number) => ((effective >> BigInt(number)) & 1n) === 1n;
};

/** The pids of all processes of this PID namespace. */
export const listPids = (proc = '/proc'): readonly number[] =>
  readdirSync(proc)
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number);

/**
 * The pids of a process' children, as the kernel tells them (proc_pid_task(5), children): each thread has its own.
 *
 * @throws the system's error, also where the kernel does not tell (no CONFIG_PROC_CHILDREN)
 */
export const readChildren = (pid: Pid, proc = '/proc'): readonly number[] =>
  readdirSync(`${proc}/${pid}/task`).flatMap((thread) =>
    readFileSync(`${proc}/${pid}/task/${thread}/children`, QUICK).split(' ').filter(Boolean).map(Number),
  );

/** Whether there is a process of this pid. It uses nothing that a kernel may leave out. */
export const isShown = (pid: Pid, proc = '/proc'): boolean => existsSync(`${proc}/${pid}/task/${pid}/stat`);

/**
 * The control groups of a process, a line each (proc_pid_cgroup(5)).
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readControlGroups = (pid: Pid, proc = '/proc'): string => readFileSync(`${proc}/${pid}/cgroup`, 'utf8');

/**
 * The number of the process or thread that began last (proc_loadavg(5), the last field); 0 where the kernel does not tell.
 *
 * @throws the system's error
 */
export const readNewestPid = (proc = '/proc'): number =>
  Number(/(\d+)\s*$/.exec(readFileSync(`${proc}/loadavg`, QUICK))?.[1] ?? 0);

/**
 * Seconds since boot (proc_uptime(5)).
 *
 * @throws the system's error
 */
export const readUptime = (proc = '/proc'): number =>
  Number(/^[\d.]+/.exec(readFileSync(`${proc}/uptime`, QUICK))?.[0]);

/**
 * How soon the kernel ends a process where memory runs out (proc_pid_oom_score_adj(5)).
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readOomScoreAdj = (pid: Pid, proc = '/proc'): number =>
  Number(readFileSync(`${proc}/${pid}/oom_score_adj`, QUICK));

/** @throws the system's error where it is gone, or may not have this value */
export const writeOomScoreAdj = (pid: Pid, value: number, proc = '/proc'): void =>
  writeFileSync(`${proc}/${pid}/oom_score_adj`, String(value));
