import { until } from '../e2e/harness/machine.ts';
import type { Server } from '../e2e/harness/server.ts';

/** One look into the server's process namespace. Memory in MB. */
export type Look = {
  readonly daemon: number;
  readonly listener: number;
  readonly zombies: readonly number[];
  readonly processes: number;
  readonly memory: number;
  readonly files: number;
};

/**
 * PID 1 is tini, its first child the daemon, and the daemon's child of this name the listener; beside them runs the reader of
 * sshd's log, and nothing else.
 */
const SCRIPT = `
cat /proc/[0-9]*/stat 2>/dev/null
daemon=$(cut -d ' ' -f 1 /proc/1/task/1/children)
echo daemon $daemon $(ls /proc/$daemon/fd | wc -l)
`;

/** proc(5): the fields of stat behind the name, which may have blanks and parentheses in it. */
const STAT = /^(\d+) \((.*)\) (\S) (\d+) (?:\S+ ){19}(\d+) /;

const PAGE = 4096;

export const look = async (server: Server): Promise<Look> => {
  const { stdout } = await server.exec(['sh', '-c', SCRIPT]);
  const all = stdout.split('\n').flatMap((line) => {
    const [, pid, name, state, parent, pages] = STAT.exec(line) ?? [];
    return pid ? [{ pid: Number(pid), name, state, parent: Number(parent), pages: Number(pages) }] : [];
  });
  const isListener = ({ name, parent }: (typeof all)[number], of: number): boolean => parent === of && name === 'sshd';
  const daemon = all.find(({ parent, pid }) => parent === 1 && all.some((each) => isListener(each, pid)));
  const listener = daemon && all.find((each) => isListener(each, daemon.pid));
  if (!daemon || !listener) throw new Error(`the server's processes are not as expected:\n${stdout}`);
  return {
    daemon: daemon.pid,
    listener: listener.pid,
    zombies: all.filter(({ state }) => state === 'Z').map(({ pid }) => pid),
    processes: all.length,
    memory: (daemon.pages * PAGE) / 1e6,
    files: Number(/^daemon \d+ (\d+)$/m.exec(stdout)?.[1]),
  };
};

/** Looks until nothing is left of a process that has ended. */
export const lookWithoutZombies = (server: Server): Promise<Look> =>
  until('every process that has ended to be reaped', async () => {
    const found = await look(server);
    return found.zombies.length === 0 && found;
  });

/** Signals a process of the server by its number there. */
export const signalInside = (server: Server, pid: number, signal: 'HUP' | 'KILL') =>
  server.exec(['sh', '-c', `kill -${signal} "$0"`, String(pid)], { reject: false });
