import { isOfThisServer } from './control-group.ts';
import { newestProcesses } from './newest-process.ts';
import type { Process, ProcessId } from './process.ts';
import { createTicks, isAlive, listProcesses, readWords } from './processes.ts';
import { readUsage, type Usage } from './usage.ts';

/** What the kernel tells of processes, as far as sessions need it. Tests of the tracker bring their own. */
export type Proc = {
  /**
   * All processes, also those that began while they were listed.
   *
   * @throws the system's error where /proc cannot be read
   */
  readonly list: () => readonly Process[];
  /** Whether this very process still runs. It throws where that cannot be told. */
  readonly isAlive: (process: ProcessId) => boolean;
  /** Whether it is in our own control group. */
  readonly isOfThisServer: (pid: number) => boolean;
  /** Its command line, for people. */
  readonly wordsOf: (pid: number) => readonly string[];
  /** What it has used so far; null where it has ended. */
  readonly usageOf: (pid: number) => Usage | null;
  /** Clock ticks since boot. */
  readonly ticks: () => number;
};

export const openProc = (): Proc => ({
  list: () => {
    const listed = listProcesses();
    return [...listed, ...newestProcesses(new Set(listed.map(({ pid }) => pid)))];
  },
  isAlive: (process) => isAlive(process),
  isOfThisServer: (pid) => isOfThisServer(pid),
  wordsOf: (pid) => readWords(pid),
  usageOf: (pid) => readUsage(pid),
  ticks: createTicks(),
});
