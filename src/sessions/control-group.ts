import { readControlGroups, readStatFields } from '../system/proc.ts';

/**
 * Whether a process is in the daemon's own control group, which it cannot leave. Where a server is run in a PID namespace that it shares, against
 * all advice, others may use the numbers of its accounts.
 */
export const isOfThisServer = (pid: number, proc = '/proc'): boolean => {
  try {
    const groups = readControlGroups(pid, proc);
    const own = readControlGroups('self', proc);
    return groups === own || (hasEndedFirstThread(pid, proc) && mayBeOf(groups, own));
  } catch {
    // It has ended.
    return false;
  }
};

/** Read after the groups: a thread that had begun to end then has done so now, or is found by the next look. */
const hasEndedFirstThread = (pid: number, proc: string): boolean => /^[ZX]/.test(readStatFields(pid, proc)[0] ?? '');

/**
 * A process whose first thread has ended, and that goes on with another, is shown at the top of each hierarchy of version 1, wherever it
 * is (proc_cgroup_show in the kernel's source). Version 2, whose line begins with `0::`, goes on telling the truth.
 */
const mayBeOf = (groups: string, own: string): boolean => {
  const [theirs, ours] = [groups.split('\n'), own.split('\n')];
  return (
    theirs.length === ours.length &&
    theirs.every((line, at) => {
      const other = ours[at] ?? '';
      const hierarchy = /^\d+:[^:]*:/.exec(other)?.[0];
      return line === other || (hierarchy !== undefined && hierarchy !== '0::' && line === `${hierarchy}/`);
    })
  );
};
