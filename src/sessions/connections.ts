import { descendants, listProcesses, type Process } from './processes.ts';

/** The root process (sshd calls it the monitor) of one connection after the login: with it ends everything that runs over the connection. */
export type Connection = {
  readonly pid: number;
  readonly start: number;
  /** The account's name, as sshd writes it into the title. */
  readonly account: string;
  /** The client's address and port, where a command of the connection tells it; null while nothing runs. */
  readonly peer: string | null;
  /** The processes of borg that run over it. */
  readonly borg: readonly number[];
};

/** `sshd: NAME [priv]` (9.2), `sshd-session: NAME [priv]` (9.8 and later). */
const MONITOR = /^sshd(?:-session)?: ([A-Za-z0-9_][A-Za-z0-9_.-]*) \[priv\]\s*$/;
/** The process that talks to a stranger before the login. */
const STRANGER = /^sshd(?:-session|-auth)?: (?:.* )?\[net\]\s*$/;

/** How a connection is named: address and port, as in sshd's log. */
export const peerName = (address: string, port: number): string => `${address}|${port}`;

/**
 * Lists the connections that are logged in. A monitor has its title already while its client authenticates; the client is in
 * once the monitor has a child of the account's own user id.
 */
export const listConnections = (processes: readonly Process[] = listProcesses()): readonly Connection[] => {
  const children = Map.groupBy(processes, ({ parent }) => parent);
  return processes.flatMap(({ pid, uid, start, words }) => {
    const account = MONITOR.exec(words[0] ?? '')?.[1];
    if (account === undefined || uid !== 0) return [];
    const below = descendants(pid, children);
    const isIn = (each: Process): boolean => each.parent === pid && each.uid !== 0;
    if (!below.some((each) => isIn(each) && !STRANGER.test(each.words[0] ?? ''))) return [];
    const launchers = below.filter((each) => sessionOf(each.words) !== null);
    return [
      { pid, start, account, peer: sessionOf(launchers[0]?.words ?? []), borg: launchers.map((each) => each.pid) },
    ];
  });
};

/** The forced command hands `$SSH_CONNECTION` (address, port, own address, own port) to the launcher behind --session. */
const sessionOf = (words: readonly string[]): string | null => {
  const connection = words[words.indexOf('--session') + 1]?.split(' ') ?? [];
  const [address, port] = connection;
  return words.includes('--session') && connection.length === 4 && address ? peerName(address, Number(port)) : null;
};
