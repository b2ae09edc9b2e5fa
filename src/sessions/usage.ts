import { readFileSync } from 'node:fs';
import type { Usage } from './host-line.ts';
import { TICKS_PER_SECOND } from './processes.ts';

/**
 * What a process has used so far: its time by proc_pid_stat(5), utime and stime, and its memory at its largest by proc_pid_status(5),
 * VmHWM. Null where it has ended, or cannot be looked at.
 */
export const readUsage = (pid: number, proc = '/proc'): Usage | null => {
  try {
    const stat = readFileSync(`${proc}/${pid}/stat`, 'utf8');
    // The program's name, the second field, may hold blanks and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const memory = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`${proc}/${pid}/status`, 'utf8'))?.[1];
    if (memory === undefined) return null;
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
      peakMemory: Number(memory) * 1024,
    };
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
