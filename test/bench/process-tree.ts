import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { until } from '../e2e/harness/machine.ts';
import type { Contender } from './contenders.ts';

/** proc_pid_stat(5): hundredths of a second. */
const MS_PER_TICK = 10;

export type Seen = {
  readonly pid: number;
  readonly parent: number;
  /** The program's name. */
  readonly name: string;
  /** The real user id; -1 for a process that has just ended. */
  readonly uid: number;
  /** Milliseconds of CPU of the process, and of every child that it has waited for. */
  readonly cpu: number;
};

/** All processes of a server now. For the plain server these are its sshd and all below, for our own all in its namespace. */
export const processesOf = (contender: Contender): readonly Seen[] => {
  const all = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => seen(Number(entry)) ?? []);
  if (contender.name === 'plain') return below(all, contender.server.pid);
  const namespace = namespaceOf(contender.daemon);
  return all.filter(({ pid }) => namespaceOf(pid) === namespace);
};

const below = (all: readonly Seen[], root: number): readonly Seen[] => {
  const parents = new Map(all.map(({ pid, parent }) => [pid, parent]));
  return all.filter((each) => {
    for (let pid: number | undefined = each.pid; pid; pid = parents.get(pid)) if (pid === root) return true;
    return false;
  });
};

const namespaceOf = (pid: number): string | null => {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return null;
  }
};

/** Null for a process that has ended meanwhile. */
const seen = (pid: number): Seen | null => {
  try {
    const [, name = '', rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'latin1')) ?? [];
    const fields = rest.split(' ').map(Number);
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + each, 0);
    const uid = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return { pid, name, parent: fields[1] ?? 0, uid: Number(uid ?? -1), cpu: ticks * MS_PER_TICK };
  } catch {
    return null;
  }
};

/** Whether it is a process of sshd's own, by its name in OpenSSH 9 and 10. */
export const isSshd = ({ name }: Seen): boolean => name.startsWith('sshd');

/** The session host among the processes of a server, if there is one. */
export const hostAmong = (all: readonly Seen[]): Seen | undefined =>
  all.find(({ pid, name }) => name.startsWith('python') && /session[- ]host/.test(commandOf(pid)));

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

/** All processes of a server, once nobody is connected any more and no session runs. */
export const atRest = (contender: Contender): Promise<readonly Seen[]> =>
  until('the last session to be gone', () => {
    const all = processesOf(contender);
    const host = hostAmong(all);
    const busy = ({ parent, uid }: Seen): boolean => parent === host?.pid || uid >= FIRST_ACCOUNT;
    // The plain server's sessions are root's, but below its sshd there is nothing else.
    const rests = contender.name === 'plain' ? all.length === 1 : all.filter(isSshd).length === 1 && !all.some(busy);
    return rests && all;
  });

/** Milliseconds of CPU that these processes have used. */
export const cpuOfAll = (all: readonly Seen[]): number => all.reduce((sum, { cpu }) => sum + cpu, 0);

/** Lower user ids are the machine's own users, such as sshd's. */
const FIRST_ACCOUNT = 1000;

/** The processes of sessions that began after a look, without sshd's own. `before` are the processes that this look showed. */
export const sessionProcesses = (contender: Contender, before: readonly Seen[]): readonly Seen[] => {
  const old = new Set(before.map(({ pid }) => pid));
  return processesOf(contender).filter(
    (each) => !old.has(each.pid) && !isSshd(each) && (contender.name === 'plain' || each.uid >= FIRST_ACCOUNT),
  );
};
