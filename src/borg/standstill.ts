import { readStatFields, readStatus, statusField } from '../system/proc.ts';

const LOOKS = 20;
const LONGEST_LOOK_MS = 10_000;

/**
 * Waits until a process stands still: it has used no CPU and was not woken once for so long. A process that reads a slow disk, or
 * that waits for a lock and asks again, is woken. One that has opened a pipe to which nobody writes is not. The kernel tells what
 * another user's process has read and written only with CAP_SYS_PTRACE, so that is not asked.
 *
 * @param milliseconds Infinity: never
 * @param onStandstill called once
 * @returns ends the watch
 */
export const watchForStandstill = (pid: number, milliseconds: number, onStandstill: () => void): (() => void) => {
  if (milliseconds === Infinity) return () => {};
  let [seen, since] = [activityOf(pid), performance.now()];
  const timer = setInterval(
    () => {
      const now = activityOf(pid);
      if (now === null || now !== seen) [seen, since] = [now, performance.now()];
      else if (performance.now() - since >= milliseconds) {
        clearInterval(timer);
        onStandstill();
      }
    },
    Math.min(milliseconds / LOOKS, LONGEST_LOOK_MS),
  );
  return () => clearInterval(timer);
};

/** What changes as soon as a process does anything (proc_pid_status(5), proc_pid_stat(5)). Null where it is gone. */
const activityOf = (pid: number): string | null => {
  try {
    // utime and stime.
    const used = readStatFields(pid).slice(11, 13);
    const status = readStatus(pid);
    const woken = ['voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches'].map((name) => statusField(status, name));
    return [...used, ...woken].join(' ');
  } catch {
    return null;
  }
};
