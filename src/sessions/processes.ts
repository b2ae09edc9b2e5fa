import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { errorCode } from '../system/errno.ts';
import { statFields } from '../system/proc.ts';

/** One process for ever: a pid may be given again, with another start. */
export type ProcessName = { readonly pid: number; readonly start: number };

/** The first process, which adopts whose parent has ended. */
export const INIT = 1;

/** As text, for maps. */
export const processId = ({ pid, start }: ProcessName): string => `${pid} ${start}`;

/** A process as root may see it without CAP_SYS_PTRACE: no environment, no file descriptors, no limits of another user's. */
export type Process = {
  readonly pid: number;
  readonly parent: number;
  /** Real user id. */
  readonly uid: number;
  /** Clock ticks (1/100 s) since boot at which it began (proc_pid_stat(5), field 22). With the pid it names one process for ever. */
  readonly start: number;
  /** It has ended and waits to be reaped, all of it: one whose first thread has ended looks so, and goes on. */
  readonly ended: boolean;
};

/** Of what proc_pid_stat(5) counts in; the kernel's USER_HZ is 100 wherever this runs. */
export const TICKS_PER_SECOND = 100;

/** All processes of this PID namespace. One that ends meanwhile is left out. */
export const listProcesses = (proc = '/proc'): readonly Process[] =>
  readdirSync(proc)
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => readProcess(Number(entry), proc) ?? []);

/**
 * One process, or null if there is none (any more).
 *
 * @throws the system's error where it cannot be told, for example with a full table of files
 */
export const readProcess = (pid: number, proc = '/proc'): Process | null => {
  try {
    const status = readFileSync(`${proc}/${pid}/status`, 'utf8');
    return {
      pid,
      parent: Number(/^PPid:\t(\d+)/m.exec(status)?.[1]),
      uid: Number(/^Uid:\t(\d+)/m.exec(status)?.[1]),
      ...stateOf(readFileSync(`${proc}/${pid}/stat`, 'utf8')),
    };
  } catch (error) {
    if (GONE.has(errorCode(error))) return null;
    throw error;
  }
};

/** The command line of a process: text of its own, for people to read. Empty where it has ended. It costs as much as all else, so nobody asks for all. */
export const readWords = (pid: number, proc = '/proc'): readonly string[] => {
  try {
    return readFileSync(`${proc}/${pid}/cmdline`, 'utf8').split('\0').slice(0, 64);
  } catch (error) {
    if (GONE.has(errorCode(error))) return [];
    throw error;
  }
};

/** Of a process that ends between two readings. */
const GONE: ReadonlySet<unknown> = new Set(['ENOENT', 'ESRCH']);

const stateOf = (stat: string): Pick<Process, 'start' | 'ended'> => {
  const fields = statFields(stat);
  const dead = fields[0] === 'Z' || fields[0] === 'X';
  // num_threads (20): of a zombie it is 1 at most.
  return { start: Number(fields[19]), ended: dead && Number(fields[17]) <= 1 };
};

/**
 * Whether this very process still runs. One that has ended and waits to be reaped does not.
 *
 * @throws the system's error where it cannot be told
 */
export const isAlive = ({ pid, start }: ProcessName, proc = '/proc'): boolean => {
  try {
    const found = stateOf(readFileSync(`${proc}/${pid}/stat`, 'utf8'));
    return found.start === start && !found.ended;
  } catch (error) {
    if (GONE.has(errorCode(error))) return false;
    throw error;
  }
};

/**
 * The pids of a process' children, as the kernel tells them: each thread has its own.
 *
 * @throws the system's error, also where the kernel does not tell (no CONFIG_PROC_CHILDREN)
 */
export const childrenOf = (pid: number, proc = '/proc'): readonly number[] =>
  readdirSync(`${proc}/${pid}/task`).flatMap((thread) =>
    readFileSync(`${proc}/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );

/**
 * Everything below a process, as the kernel tells it (proc_pid_task(5), children). Where it does not, by looking at all
 * processes, which takes a tenth of a second where there are some thousands.
 */
export const processesBelow = (pid: number, proc = '/proc'): readonly Process[] => {
  try {
    return childrenOf(pid, proc).flatMap((child) =>
      [readProcess(child, proc) ?? [], processesBelow(child, proc)].flat(),
    );
  } catch (error) {
    if (!GONE.has(errorCode(error))) throw error;
    if (!existsSync(`${proc}/${pid}/task/${pid}/stat`)) return [];
    return descendants(
      pid,
      Map.groupBy(listProcesses(proc), ({ parent }) => parent),
    );
  }
};

/** Everything below a process, among these, each once: also where they name each other as parents. */
export const descendants = (pid: number, children: ReadonlyMap<number, readonly Process[]>): readonly Process[] => {
  const found = new Set(children.get(pid));
  // It grows while it is walked through.
  for (const process of found) for (const child of children.get(process.pid) ?? []) found.add(child);
  return [...found];
};

/**
 * A clock of ticks since boot, like those of a process' beginning. From this process' own age, and from /proc/uptime, which stands
 * still where a container shows its own: the later of the two, so that nothing which began before seems to have begun after.
 *
 * @throws the system's error; the clock itself never does
 */
export const createTicks = (proc = '/proc'): (() => number) => {
  const began = readProcess(process.pid, proc)?.start ?? 0;
  return () => {
    const own = began + (performance.now() / 1000) * TICKS_PER_SECOND;
    return Math.max(own, uptime(proc) ?? own);
  };
};

const uptime = (proc: string): number | null => {
  try {
    const seconds = Number(/^[\d.]+/.exec(readFileSync(`${proc}/uptime`, 'utf8'))?.[0]);
    return Number.isFinite(seconds) ? seconds * TICKS_PER_SECOND : null;
  } catch {
    return null;
  }
};
