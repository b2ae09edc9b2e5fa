import { readNewestPid, readStatus, statusField } from '../system/proc.ts';
import type { Process } from './process.ts';
import { readProcess } from './processes.ts';

const MOST_LOOKS = 16;
/** Each try takes some microseconds, and a list takes milliseconds. So one of the tries finds a process that lives for a millisecond. */
const TRIES = 12;

/**
 * The processes that began last, as the kernel says (proc_loadavg(5), the last field), and those above them, as far as they are not known. A
 * process that forks and ends again and again is always gone when a list reaches it. This asks several times where it is now. It finds nothing
 * where the kernel does not tell, or where that process has ended, too.
 *
 * @param known pids that are in the list already
 */
export const newestProcesses = (known: ReadonlySet<number>, proc = '/proc'): readonly Process[] => {
  const found = new Map<number, Process>();
  for (let tries = 0; tries < TRIES; tries += 1)
    for (const each of newest(new Set([...known, ...found.keys()]), proc)) found.set(each.pid, each);
  return [...found.values()];
};

const newest = (known: ReadonlySet<number>, proc: string): readonly Process[] => {
  const found: Process[] = [];
  let pid = newestPid(proc);
  for (let looks = 0; looks < MOST_LOOKS && pid > 0 && !known.has(pid); looks += 1) {
    const each = isProcess(pid, proc) ? readProcess(pid, proc) : null;
    // Where the parent has just ended, somebody else has adopted the one below it.
    const next = each ?? again(found.pop(), proc);
    if (!next) break;
    found.push(next);
    pid = next.parent;
  }
  return found;
};

const again = (process: Process | undefined, proc: string): Process | null =>
  process ? readProcess(process.pid, proc) : null;

const newestPid = (proc: string): number => {
  try {
    return readNewestPid(proc);
  } catch {
    return 0;
  }
};

/** A thread has a number of its own, and /proc knows that number, too. */
const isProcess = (pid: number, proc: string): boolean => {
  try {
    return statusField(readStatus(pid, proc), 'Tgid') === String(pid);
  } catch {
    return false;
  }
};
