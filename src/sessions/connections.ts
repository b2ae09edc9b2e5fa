import { descendants, INIT, idOf, type Process, type ProcessId } from './process.ts';

/**
 * The root process (sshd's monitor) of one connection. It is known by what the kernel shows and nobody can write: it is root's, and a child of
 * our own listener. Its name changes with sshd's releases. Everything that runs over the connection ends with it.
 */
export type Connection = ProcessId & {
  /** The user id of its process that runs as an account; null before the login. */
  readonly uid: number | null;
  /** All processes that run over it. */
  readonly below: readonly number[];
};

/** Whether a user id is an account's: nobody else's processes have it. */
export type IsAccount = (uid: number) => boolean;

/**
 * Lists all connections.
 *
 * @param listener the parent of the connections. Once it has ended, the first process is their parent, and only those count that have a child of
 *   an account's
 * @param known connections that were seen before
 */
export const listConnections = (
  processes: readonly Process[],
  listener: ProcessId | null,
  known: ReadonlySet<string>,
  isAccount: IsAccount,
): readonly Connection[] => {
  if (listener === null) return [];
  const children = Map.groupBy(
    processes.filter(({ ended }) => !ended),
    ({ parent }) => parent,
  );
  const listens = processes.some((each) => idOf(each) === idOf(listener) && !each.ended);
  const isRoot = (each: Process, uid: number | null): boolean => {
    if (known.has(idOf(each))) return true;
    if (listens) return each.parent === listener.pid;
    return each.parent === INIT && uid !== null && each.start >= listener.start;
  };
  return processes
    .filter(({ uid, ended }) => uid === 0 && !ended)
    .flatMap((each) => {
      const uid = (children.get(each.pid) ?? []).find((child) => isAccount(child.uid))?.uid ?? null;
      if (!isRoot(each, uid)) return [];
      return [{ pid: each.pid, start: each.start, uid, below: descendants(each.pid, children).map(({ pid }) => pid) }];
    });
};

/** The name of a client: address and port, as in sshd's log. It is only a label. */
export const peerName = (address: string, port: number): string => `${address}|${port}`;
