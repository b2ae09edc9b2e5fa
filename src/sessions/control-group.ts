import { readControlGroups, readStatFields } from '../system/proc.ts';

/**
 * Whether a process is in the daemon's own control group, which it cannot leave. An operator may, against all advice, run the server in a PID
 * namespace that it shares. Others there may use the user ids of its accounts.
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

/** Read after the groups: a thread that was about to end then has ended now, or the next look finds it. */
const hasEndedFirstThread = (pid: number, proc: string): boolean => /^[ZX]/.test(readStatFields(pid, proc)[0] ?? '');

/**
 * The first thread of a process may end while another goes on. The kernel then shows the process at the top of each hierarchy of version 1,
 * wherever it is (proc_cgroup_show in the kernel's source). Version 2, whose line begins with `0::`, still tells the truth.
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
