import { STRANGER } from '../sshd/strangers-first.ts';
import { readChildren, readOomScoreAdj, writeOomScoreAdj } from '../system/proc.ts';
import { processesBelow } from './processes.ts';

/**
 * oom_score_adj (proc_pid_oom_score_adj(5)) of sshd's processes of a login, and of a session that could not lower its own (the
 * launcher gives each 300 to 400): a session with half of the memory still comes after every stranger, and before the server.
 */
const LOGGED_IN = 300;
const LOOK_MS = 1000;

/**
 * Sees to it that where memory runs out the kernel ends strangers first, then sessions, and the listener and this process last.
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
      // Looked at once more where something was done: what began meanwhile began with the old value.
      if (raised.length === 0) lowered.add(pid);
    }
  };

  return {
    /** Call it once sshd listens: before, it would take the lower value for that of its connections. */
    listens: (listener: number): void => {
      // With CAP_SYS_RESOURCE sshd has seen to itself, and is lower still.
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

/** Cheap, where the kernel tells children: most of them are strangers in a flood. */
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

/** What began with a value above is not let below it without CAP_SYS_RESOURCE: as a container started with --oom-score-adj. */
const setTo = (pid: number, wanted: number, least: number): void => {
  for (const value of [wanted, least]) {
    try {
      writeOomScoreAdj(pid, value);
      return;
    } catch {
      // It has ended, or may not: the order is a precaution, and nothing else depends on it.
    }
  }
};
