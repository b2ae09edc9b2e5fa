import { readFileSync } from 'node:fs';

type Pid = number | 'self';

/**
 * What the kernel tells of a process in proc_pid_status(5).
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readStatus = (pid: Pid, proc = '/proc'): string => readFileSync(`${proc}/${pid}/status`, 'latin1');

/** One field of it, such as `Uid`; null where this kernel does not tell it. */
export const statusField = (status: string, name: string): string | null =>
  new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? null;

/**
 * The fields of proc_pid_stat(5) from the third on.
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readStatFields = (pid: Pid, proc = '/proc'): readonly string[] =>
  statFields(readFileSync(`${proc}/${pid}/stat`, 'latin1'));

/**
 * The command line of a process: text of its own. Empty where it has ended and waits to be reaped.
 *
 * @throws the system's error: ENOENT or ESRCH where it is gone
 */
export const readWords = (pid: Pid, proc = '/proc'): readonly string[] =>
  readFileSync(`${proc}/${pid}/cmdline`, 'latin1').split('\0');

/** The second field, the program's name, may hold blanks and parentheses: counted is from its end. */
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
