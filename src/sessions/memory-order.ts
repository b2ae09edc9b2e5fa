import { STRANGER } from '../sshd/strangers-first.ts';
import { readChildren, readOomScoreAdj, writeOomScoreAdj } from '../system/proc.ts';
import { processesBelow } from './processes.ts';

/**
 * oom_score_adj (proc_pid_oom_score_adj(5)) of sshd's processes of a login, and of a session that could not lower its own (the launcher gives
 * each session 300 to 400). So the kernel ends even a session with half of the memory after every stranger, and before the server.
 */
const LOGGED_IN = 300;
const LOOK_MS = 1000;

/**
 * Sets the order in which the kernel ends processes where memory runs out: strangers first, then sessions, the listener and this process last.
 * Connections begin as strangers (see strangersFirst); those that have logged in are lowered within a second.
 *
 * @param isAccount whether a uid is one that only a login gives
 */
export const createMemoryOrder = (isAccount: (uid: number) => boolean) => {
  const own = adjustmentOf(process.pid) ?? 0;
  const lowered = new Set<number>();
  let timer: NodeJS.Timeout | undefined;

  const look = (listener: number): void => {
    const connections = new Set(connectionsOf(listener));
    for (const pid of lowered) if (!connections.has(pid)) lowered.delete(pid);
    for (const pid of connections) {
      if (lowered.has(pid)) continue;
      const below = processesBelow(pid);
      if (!below.some(({ uid }) => isAccount(uid))) continue;
      const raised = [pid, ...below.map((each) => each.pid)].filter((each) => adjustmentOf(each) === STRANGER);
      for (const each of raised) setTo(each, LOGGED_IN, own);
      // Where a value was changed, it is looked at once more: what began meanwhile has the old value.
      if (raised.length === 0) lowered.add(pid);
    }
  };

  return {
    /** Call it once sshd listens. Before that, sshd would give the lower value to its connections, too. */
    listens: (listener: number): void => {
      // With CAP_SYS_RESOURCE sshd has lowered its own value already, and further.
      if ((adjustmentOf(listener) ?? own) > own) setTo(listener, own, own);
      timer = setInterval(() => {
        try {
          look(listener);
        } catch {
          // A full table of files, for example: the next look tries again.
        }
      }, LOOK_MS);
    },
    close: (): void => clearInterval(timer),
  };
};

/** Cheap where the kernel tells children. In a flood most of them are strangers. */
const connectionsOf = (listener: number): readonly number[] => {
  try {
    return readChildren(listener);
  } catch {
    return processesBelow(listener).flatMap(({ pid, parent }) => (parent === listener ? [pid] : []));
  }
};

const adjustmentOf = (pid: number): number | null => {
  try {
    return readOomScoreAdj(pid);
  } catch {
    return null;
  }
};

/** Without CAP_SYS_RESOURCE no process may go below the value that it began with, as in a container started with --oom-score-adj. */
const setTo = (pid: number, wanted: number, least: number): void => {
  for (const value of [wanted, least]) {
    try {
      writeOomScoreAdj(pid, value);
      return;
    } catch {
      // The process has ended, or may not have this value: the order is a precaution, and nothing else depends on it.
    }
  }
};
