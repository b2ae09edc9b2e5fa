import type { Connection } from './connections.ts';
import type { ProcessName } from './end-connection.ts';
import { readProcess, TICKS_PER_SECOND } from './processes.ts';
import type { Session } from './session.ts';

const same = (a: ProcessName, b: ProcessName | null): boolean => b !== null && a.pid === b.pid && a.start === b.start;

/** How much the clock of ticks may be late (by the time that Node took to begin). */
const SPARE_TICKS = TICKS_PER_SECOND / 10;

/**
 * Whether the process may be the one of a session whose process is unknown. A session that has ended unseen would otherwise be taken for
 * the next that its account opens, and one that must end would take that with it.
 */
const mayCarry = ({ start }: ProcessName, session: Session): boolean =>
  session.process === null && start <= session.ticks + SPARE_TICKS;

/**
 * Which connection carries which session, as far as it is certain: a command that runs over the connection names its peer; and
 * what is left is certain where an account has one session and one connection without a partner.
 *
 * @returns the root process by peer, for sessions whose process was unknown or another
 */
export const matchRoots = (
  sessions: readonly Session[],
  connections: readonly Connection[],
): ReadonlyMap<string, ProcessName> => {
  const matched = new Map<string, ProcessName>();
  for (const { pid, start, peer, account } of connections) {
    // A client may have two connections of one name, to two addresses of the server, and as two accounts.
    const session = sessions.find((each) => each.peer === peer && each.account === account);
    if (session && !same({ pid, start }, session.process)) matched.set(session.peer, { pid, start });
  }
  const open = sessions.filter((each) => each.process === null && !matched.has(each.peer));
  for (const session of open) {
    const left = candidates(session, sessions, connections);
    const [only] = left;
    const rivals = open.filter((each) => only && each.account === session.account && mayCarry(only, each));
    if (only && left.length === 1 && rivals.length === 1)
      matched.set(session.peer, { pid: only.pid, start: only.start });
  }
  return matched;
};

/**
 * The connections that may carry a session: its own, if that is known; else all of its account's that no other session has and that
 * began before its login was read.
 */
export const candidates = (
  session: Session,
  sessions: readonly Session[],
  connections: readonly Connection[],
): readonly ProcessName[] => {
  if (session.process) return [session.process];
  const exact = connections.filter(({ peer, account }) => peer === session.peer && account === session.account);
  if (exact.length > 0) return exact;
  return connections.filter(
    (each) =>
      each.account === session.account &&
      each.peer === null &&
      mayCarry(each, session) &&
      !sessions.some(({ process }) => same(each, process)),
  );
};

export type Monitor = { readonly root: ProcessName; readonly account: string };

/**
 * The session of a monitor that sshd has just told of, if only one of its account waits for its process. A command may have told whose the
 * monitor is before this line was read; then the one that waits is another's.
 */
export const sessionOfMonitor = ({ root, account }: Monitor, sessions: readonly Session[]): Session | null => {
  if (sessions.some(({ process }) => same(root, process))) return null;
  const [only, ...rivals] = sessions.filter((each) => each.account === account && mayCarry(root, each));
  return only && rivals.length === 0 ? only : null;
};

/**
 * The monitor of sshd's "User child is on pid N", and the account in its title; null if they have ended already. The line
 * follows the login's own, but lines of other logins may stand between.
 */
export const monitorOf = (childPid: number): Monitor | null => {
  const child = readProcess(childPid);
  const root = child && readProcess(child.parent);
  const account = /: ([A-Za-z0-9_.-]+) \[priv\]/.exec(root?.words[0] ?? '')?.[1];
  return root && account !== undefined ? { root: { pid: root.pid, start: root.start }, account } : null;
};
