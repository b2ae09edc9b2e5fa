import type { Connection } from './connections.ts';
import { processId } from './ending.ts';
import type { Session } from './session.ts';

/** In which every connection that is in order finds its session, and every session its connection or its end. */
const PATIENCE_MS = 10_000;

/**
 * The connections of each account that no session has, where they are not as many as its sessions without a connection: then some
 * of them were let in nobody knows how (sshd's line was lost, or a client made it count for another connection), or some of
 * those sessions have ended unseen. Which is which cannot be told.
 */
export const unclaimed = (
  sessions: readonly Session[],
  connections: readonly Connection[],
): ReadonlyMap<string, readonly Connection[]> => {
  const taken = new Set(sessions.flatMap(({ process }) => (process ? [processId(process)] : [])));
  const open = Map.groupBy(
    connections.filter((each) => !taken.has(processId(each))),
    ({ account }) => account,
  );
  const waiting = Map.groupBy(
    sessions.filter(({ process }) => process === null),
    ({ account }) => account,
  );
  return new Map([...open].filter(([account, each]) => each.length !== (waiting.get(account)?.length ?? 0)));
};

/**
 * Tells which of them have been so for long. Ending them is the only way to know again who is connected; whoever may, comes back.
 *
 * @param now milliseconds of a steady clock
 */
export const createPatience = (now: () => number) => {
  let accounts: ReadonlyMap<string, number> = new Map();
  let processes: ReadonlyMap<string, number> = new Map();
  const since = (known: ReadonlyMap<string, number>, names: Iterable<string>): ReadonlyMap<string, number> =>
    new Map([...names].map((name) => [name, known.get(name) ?? now()]));
  const isLong = (begun: number | undefined): boolean => begun !== undefined && now() - begun > PATIENCE_MS;
  return (found: ReadonlyMap<string, readonly Connection[]>): readonly Connection[] => {
    const all = [...found.values()].flat();
    accounts = since(accounts, found.keys());
    processes = since(processes, all.map(processId));
    return all.filter((each) => isLong(accounts.get(each.account)) && isLong(processes.get(processId(each))));
  };
};
