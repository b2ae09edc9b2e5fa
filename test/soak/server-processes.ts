import { type Saw, until } from '../e2e/harness/machine.ts';
import type { Server } from '../e2e/harness/server.ts';

/** The session host. `memory` is its memory without mapped files, in MB. `sessions` is how many sessions of its own run. */
export type HostLook = {
  readonly pid: number;
  readonly memory: number;
  readonly files: number;
  readonly sessions: number;
};

/** One look into the server's process namespace. Memory in MB. */
export type Look = {
  readonly daemon: number;
  readonly listener: number;
  readonly zombies: readonly number[];
  readonly processes: number;
  readonly memory: number;
  readonly files: number;
  /** The youngest session host that serves. Null where there is none, by the settings or just now. */
  readonly host: HostLook | null;
  /** Whether the settings ask for one. */
  readonly hosted: boolean;
};

/**
 * PID 1 is tini. Its first child is the daemon. The daemon's child with the name of sshd is the listener. Beside them run the reader
 * of sshd's log, the listener for how sessions ended, the session host, and nothing else.
 */
const SCRIPT = `
cat /proc/[0-9]*/stat 2>/dev/null
daemon=$(cut -d ' ' -f 1 /proc/1/task/1/children)
echo daemon $daemon $(ls /proc/$daemon/fd | wc -l)
for each in $(cat /proc/$daemon/task/*/children); do
  case $(tr '\\0' ' ' </proc/$each/cmdline) in
    *'session host'*) echo host $each $(ls /proc/$each/fd | wc -l) $(sed -n 's/^RssAnon:[^0-9]*//p' /proc/$each/status) ;;
  esac
done 2>/dev/null
tr '\\0' '\\n' </proc/$daemon/environ | grep -qx SESSION_HOST=no || echo hosted
`;

/** proc(5): the fields of stat behind the name, which may have blanks and parentheses in it. */
const STAT = /^(\d+) \((.*)\) (\S) (\d+) (?:\S+ ){17}(\d+) \S+ (\d+) /;

const memoryOf = ({ pages }: { readonly pages: number }): number => (pages * 4096) / 1e6;

export const look = async (server: Server): Promise<Look> => {
  const { stdout } = await server.exec(['sh', '-c', SCRIPT]);
  const all = stdout.split('\n').flatMap((line) => {
    const [, pid, name, state, parent, start, pages] = STAT.exec(line) ?? [];
    const numbers = { parent: Number(parent), start: Number(start), pages: Number(pages) };
    return pid ? [{ pid: Number(pid), name, state, ...numbers }] : [];
  });
  const isListener = ({ name, parent }: (typeof all)[number], of: number): boolean => parent === of && name === 'sshd';
  const daemon = all.find(({ parent, pid }) => parent === 1 && all.some((each) => isListener(each, pid)));
  const listener = daemon && all.find((each) => isListener(each, daemon.pid));
  if (!daemon || !listener) throw new Error(`the server's processes are not as expected:\n${stdout}`);
  const hosts = [...stdout.matchAll(/^host (\d+) (\d+) (\d+) kB$/gm)].flatMap(([, pid, files, kilobytes]) =>
    all
      .filter((each) => each.pid === Number(pid))
      .map((each) => ({ ...each, files: Number(files), memory: (Number(kilobytes) * 1024) / 1e6 })),
  );
  const [host] = hosts.sort((a, b) => b.start - a.start);
  return {
    daemon: daemon.pid,
    listener: listener.pid,
    zombies: all.filter(({ state }) => state === 'Z').map(({ pid }) => pid),
    processes: all.length,
    memory: memoryOf(daemon),
    files: Number(/^daemon \d+ (\d+)$/m.exec(stdout)?.[1]),
    host: host
      ? {
          ...{ pid: host.pid, memory: host.memory, files: host.files },
          sessions: all.filter(({ parent }) => parent === host.pid).length,
        }
      : null,
    hosted: /^hosted$/m.test(stdout),
  };
};

/**
 * Looks until no zombie is left, and there is a session host where there should be one. A session host that ends again and again is started again
 * after a minute at most. Then it needs some time.
 */
export const lookWithoutZombies = (server: Server): Promise<Look> => {
  const isRight = async (saw: Saw) => {
    const found = saw(await look(server));
    return found.zombies.length === 0 && (!found.hosted || found.host !== null) && found;
  };
  return until('every process that has ended to be reaped, and a session host to be there', isRight);
};

/** Signals a process of the server by its number there. */
export const signalInside = (server: Server, pid: number, signal: 'HUP' | 'KILL') =>
  server.exec(['sh', '-c', `kill -${signal} "$0"`, String(pid)], { reject: false });
