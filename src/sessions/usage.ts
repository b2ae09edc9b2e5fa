import { readStatFields, readStatus, statusField } from '../system/proc.ts';
import { TICKS_PER_SECOND } from './process.ts';

/** What a session has used. */
export type Usage = {
  /** Of user and system together. */
  readonly cpuSeconds: number;
  /** Bytes of memory at its largest. */
  readonly peakMemory: number;
};

/** What a process has used so far (proc_pid_stat(5), utime and stime). Null where it has ended, or cannot be looked at. */
export const readUsage = (pid: number, proc = '/proc'): Usage | null => {
  try {
    const fields = readStatFields(pid, proc);
    const peakMemory = readMemory(pid, 'VmHWM', proc);
    if (peakMemory === null) return null;
    return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND, peakMemory };
  } catch {
    return null;
  }
};

/**
 * The memory of a process in bytes (proc_pid_status(5)): what it has now, or had at its largest. Null where it has ended, or cannot be
 * looked at.
 */
export const readMemory = (pid: number, which: 'VmRSS' | 'VmHWM', proc = '/proc'): number | null => {
  try {
    const kilobytes = /^(\d+) kB$/.exec(statusField(readStatus(pid, proc), which) ?? '')?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
};

/** Several processes as one: all of their time, and the memory of the largest. */
export const together = (usages: readonly Usage[]): Usage =>
  usages.reduce(
    (sum, each) => ({
      cpuSeconds: sum.cpuSeconds + each.cpuSeconds,
      peakMemory: Math.max(sum.peakMemory, each.peakMemory),
    }),
    { cpuSeconds: 0, peakMemory: 0 },
  );
