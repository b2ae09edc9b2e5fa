import { errorCode } from '../system/errno.ts';
import * as proc from '../system/proc.ts';
import { descendants, type Process, type ProcessId, TICKS_PER_SECOND } from './process.ts';

/** All processes of this PID namespace. One that ends meanwhile is left out. */
export const listProcesses = (folder = '/proc'): readonly Process[] =>
  proc.listPids(folder).flatMap((pid) => readProcess(pid, folder) ?? []);

/**
 * One process, or null if there is none (any more).
 *
 * @throws the system's error where it cannot be told, for example with a full table of files
 */
export const readProcess = (pid: number, folder = '/proc'): Process | null =>
  unlessGone(null, () => {
    const status = proc.readStatus(pid, folder);
    return {
      pid,
      parent: Number.parseInt(proc.statusField(status, 'PPid') ?? '', 10),
      // The first of four is the real one.
      uid: Number.parseInt(proc.statusField(status, 'Uid') ?? '', 10),
      ...stateOf(proc.readStatFields(pid, folder)),
    };
  });

/**
 * The command line of a process. It is the process' own text, for people to read. Empty where it has ended. It costs as much as all else, so
 * nobody reads it of all processes.
 */
export const readWords = (pid: number, folder = '/proc'): readonly string[] =>
  unlessGone([], () => proc.readWords(pid, folder).slice(0, 64));

/** The errors for a process that ends between two readings. */
const GONE: ReadonlySet<unknown> = new Set(['ENOENT', 'ESRCH']);

const unlessGone = <Found>(otherwise: Found, read: () => Found): Found => {
  try {
    return read();
  } catch (error) {
    if (GONE.has(errorCode(error))) return otherwise;
    throw error;
  }
};

const stateOf = (fields: readonly string[]): Pick<Process, 'start' | 'ended'> => {
  const dead = fields[0] === 'Z' || fields[0] === 'X';
  // num_threads (20): of a zombie it is 1 at most.
  return { start: Number(fields[19]), ended: dead && Number(fields[17]) <= 1 };
};

/**
 * Whether this very process still runs. One that has ended and waits to be reaped does not.
 *
 * @throws the system's error where it cannot be told
 */
export const isAlive = ({ pid, start }: ProcessId, folder = '/proc'): boolean =>
  unlessGone(false, () => {
    const found = stateOf(proc.readStatFields(pid, folder));
    return found.start === start && !found.ended;
  });

/**
 * Everything below a process, as the kernel tells it. Where the kernel does not, this looks at all processes. That takes a tenth of a second
 * where there are some thousands.
 */
export const processesBelow = (pid: number, folder = '/proc'): readonly Process[] => {
  try {
    return proc
      .readChildren(pid, folder)
      .flatMap((child) => [readProcess(child, folder) ?? [], processesBelow(child, folder)].flat());
  } catch (error) {
    if (!GONE.has(errorCode(error))) throw error;
    if (!proc.isShown(pid, folder)) return [];
    return descendants(
      pid,
      Map.groupBy(listProcesses(folder), ({ parent }) => parent),
    );
  }
};

/**
 * A clock of ticks since boot, the unit of a process' start. It takes the later of two times: one from this process' own age, one from
 * /proc/uptime, which stands still where a container shows its own. So nothing that began before now seems to begin after it.
 *
 * @throws the system's error; the clock itself never does
 */
export const createTicks = (folder = '/proc'): (() => number) => {
  const began = readProcess(process.pid, folder)?.start ?? 0;
  return () => {
    const own = began + (performance.now() / 1000) * TICKS_PER_SECOND;
    return Math.max(own, uptime(folder) ?? own);
  };
};

const uptime = (folder: string): number | null => {
  try {
    const seconds = proc.readUptime(folder);
    return Number.isFinite(seconds) ? seconds * TICKS_PER_SECOND : null;
  } catch {
    return null;
  }
};
