import type { IsAccount } from './connections.ts';
import type { HostedSession } from './host-line.ts';
import { INIT, idOf, type Process, type ProcessId, TICKS_PER_SECOND } from './process.ts';
import { together, type Usage } from './usage.ts';

/** Within this time the host's line about a session that it has just forked is read, even on a busy machine. */
const UNTOLD_TICKS = 2 * TICKS_PER_SECOND;
/** No machine runs so many. A host that writes such lines without end must not fill the memory. */
const MOST_SESSIONS = 20_000;
/** How many ended sessions are remembered. Their last words come another way, and may not be read yet. */
const MOST_ENDED = 2000;

/** Puts it last, and takes the first out where there are too many. */
const putInto = <T>(map: Map<string, T>, id: string, value: T, most: number): void => {
  map.set(id, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
};

/**
 * Knows the sessions that a session host has forked. The kernel shows such a session as a child of the host, or of the first process once the
 * host has died. Only the host's lines tell whose it is. A list of processes is corrected by these lines before anybody judges it, so that a
 * hosted session is below the client that waits for it. The host is root's, and no tenant can write its lines.
 */
export const createHosted = (isAccount: IsAccount) => {
  const hosts = new Map<string, ProcessId>();
  const sessions = new Map<string, HostedSession>();
  /** By session: its connection, and whether its usage is in the connection's sum already. */
  const ended = new Map<string, { readonly connection: ProcessId; readonly counted: boolean }>();
  const sums = new Map<string, { readonly connection: ProcessId; readonly usage: Usage }>();

  /** The sessions by connection; null where they have changed. */
  let running: ReadonlyMap<string, readonly HostedSession[]> | null = null;
  /** The clients that wait for them; null where they have changed. */
  let waiting: ReadonlySet<string> | null = null;
  const haveChanged = (): void => {
    running = null;
    waiting = null;
  };

  const end = ({ process, connection }: HostedSession): void => {
    sessions.delete(idOf(process));
    haveChanged();
    putInto(ended, idOf(process), { connection, counted: false }, MOST_ENDED);
  };

  /** Its client, as long as client and connection are there and belong to whom they should; else the first process. */
  const parentOf = (
    { process, client, connection, uid }: HostedSession,
    alive: ReadonlyMap<string, Process>,
    owner: number,
  ): number => {
    const known = alive.get(idOf(client))?.uid === uid && alive.get(idOf(connection))?.uid === 0;
    // A session is root's until it has dropped its privileges.
    if (!known || (owner !== uid && owner !== 0)) return INIT;
    // A client began before its session. So no two are ever below each other, whatever a line says.
    const isHosted = sessions.has(idOf(client));
    const before = isHosted ? client.start < process.start : client.start <= process.start;
    return before && client.pid !== process.pid ? client.pid : INIT;
  };

  return {
    /** Takes a host, before its first session. */
    follow: (host: ProcessId): void => putInto(hosts, idOf(host), host, MOST_SESSIONS),

    began: (session: HostedSession): void => {
      putInto(sessions, idOf(session.process), session, MOST_SESSIONS);
      haveChanged();
    },

    ended: (process: ProcessId, usage: Usage): void => {
      const id = idOf(process);
      const session = sessions.get(id);
      if (session) end(session);
      const known = ended.get(id);
      if (!known || known.counted) return;
      const { connection } = known;
      ended.set(id, { connection, counted: true });
      const before = sums.get(idOf(connection))?.usage;
      const sum = before ? together([before, usage]) : usage;
      putInto(sums, idOf(connection), { connection, usage: sum }, MOST_SESSIONS);
    },

    /**
     * The same processes, with the parents that they would have if sshd had started them. The parent of a hosted session is its client. The
     * parent is the first process, which makes the session an outsider, where its client or connection is gone, or where no line has told of it
     * for too long.
     *
     * @param processes all that there are: what is not among them is forgotten
     * @param now clock ticks since boot
     */
    correct: (processes: readonly Process[], now: number): readonly Process[] => {
      const alive = new Map(processes.filter((each) => !each.ended).map((each) => [idOf(each), each]));
      for (const [id] of hosts) if (!alive.has(id)) hosts.delete(id);
      for (const [id, session] of sessions) if (!alive.has(id)) end(session);
      if (hosts.size === 0 && sessions.size === 0) return processes;
      const hostPids = new Set([...hosts.values()].map(({ pid }) => pid));
      return processes.map((each) => {
        const session = sessions.get(idOf(each));
        if (session) return { ...each, parent: parentOf(session, alive, each.uid) };
        const untold = hostPids.has(each.parent) && isAccount(each.uid) && now - each.start > UNTOLD_TICKS;
        return untold ? { ...each, parent: INIT } : each;
      });
    },

    /** The sessions that run over a connection, as far as is known: one may have ended since. */
    over: (connection: ProcessId): readonly HostedSession[] => {
      running ??= Map.groupBy(sessions.values(), (each) => idOf(each.connection));
      return running.get(idOf(connection)) ?? [];
    },

    /** Whether it waits for a session, as far as is known: it ends by itself with that session. */
    isClient: (process: ProcessId): boolean => {
      waiting ??= new Set([...sessions.values()].map(({ client }) => idOf(client)));
      return waiting.has(idOf(process));
    },

    /** Over which connection a session runs, or ran until a moment ago; undefined for any other process. */
    connectionOf: (process: ProcessId): ProcessId | undefined => {
      const id = idOf(process);
      return sessions.get(id)?.connection ?? ended.get(id)?.connection;
    },

    /** What the ended sessions of a connection have used; undefined where there was none. */
    usageOf: (connection: ProcessId): Usage | undefined => sums.get(idOf(connection))?.usage,

    /** Forgets the sums of connections that nobody asks for any more. */
    forget: (isKnown: (connection: ProcessId) => boolean): void => {
      for (const [id, { connection }] of sums) if (!isKnown(connection)) sums.delete(id);
    },
  };
};

export type Hosted = ReturnType<typeof createHosted>;
