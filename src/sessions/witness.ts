import { readFileSync } from 'node:fs';
import { type Connection, type IsAccount, listConnections } from './connections.ts';
import { outsiders } from './outsiders.ts';
import { listProcesses, type Process, type ProcessName, processId } from './processes.ts';

/** What the kernel shows at one moment. */
export type Sight = {
  readonly connections: readonly Connection[];
  /** Processes of accounts under no connection. */
  readonly outsiders: readonly Process[];
};

/** Looks at the kernel's list of processes for what is ours. Remembers the connections it has seen, so that they stay known when the listener has ended. */
export const createWitness = (isAccount: IsAccount) => {
  let listener: ProcessName | null = null;
  let known: ReadonlySet<string> = new Set();
  return {
    /** Takes the process whose children are connections. */
    follow: (process: ProcessName): void => {
      listener = process;
    },
    /** Whether it is a connection: the listener's child, or one that was known before the listener ended. */
    isConnection: (process: ProcessName & { readonly parent: number }): boolean =>
      process.parent === listener?.pid || known.has(processId(process)),
    /** @throws the system's error where /proc cannot be read */
    look: (): Sight => {
      if (!listener) return { connections: [], outsiders: [] };
      const processes = listProcesses();
      const connections = listConnections(processes, listener, known, isAccount);
      known = new Set(connections.map(processId));
      const outside = outsiders(processes, connections, listener, isAccount);
      return { connections, outsiders: outside.length === 0 ? [] : outside.filter(isOfThisServer) };
    },
  };
};

/**
 * Whether a process is in the daemon's own control group, which it cannot leave. Where a server is run in a PID namespace that it shares, against
 * all advice, others may use the numbers of its accounts.
 */
const isOfThisServer = ({ pid }: Process): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8') === readFileSync('/proc/self/cgroup', 'utf8');
  } catch {
    // It has ended.
    return false;
  }
};
