import type { Connection, IsAccount } from './connections.ts';
import { INIT, idOf, type Process, type ProcessId } from './process.ts';

/**
 * Processes of accounts that run under no connection, such as one that was taken over and has ended its own connection from below, or one that
 * waits for a lock while its client is gone. Their parents have ended, so the first process has adopted them, and only accounts' processes are
 * between. No process of an account can drop its user id, nor choose who adopts it. A process that root starts as an account, here or by `docker
 * exec`, also in the background, has root's process above it.
 *
 * @param listener what began before it is none of ours
 */
export const outsiders = (
  processes: readonly Process[],
  connections: readonly Connection[],
  listener: ProcessId,
  isAccount: IsAccount,
): readonly Process[] => {
  const byPid = new Map(processes.map((each) => [each.pid, each]));
  const roots = new Set(connections.map(idOf));
  const isAdopted = (process: Process): boolean => {
    let each: Process | undefined = process;
    // A chain of parents is never longer than the list, even where it changed while it was read.
    for (let steps = 0; each && steps <= processes.length; steps += 1) {
      if (each.pid === INIT) return true;
      if (roots.has(idOf(each)) || !isAccount(each.uid)) return false;
      each = byPid.get(each.parent);
    }
    // Started from outside of this PID namespace (parent 0), or its parent has just ended: the next look tells.
    return false;
  };
  return processes.filter(
    (each) => !each.ended && isAccount(each.uid) && each.start >= listener.start && isAdopted(each),
  );
};
