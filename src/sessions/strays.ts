import type { State } from '../accounts/account.ts';
import type { Connection } from './connections.ts';
import { type Process, type ProcessName, processId } from './processes.ts';
import { mayHoldLostPrivileges, type PrivilegeLosses } from './revocation.ts';

/** In which sshd's line about a login that has come through is read, however busy the machine is. */
const PATIENCE_MS = 10_000;
/** The same where its account has just lost a key: whoever was let in by that must not stay. */
export const SETTLE_MS = 100;
/** In which a process whose connection has just ended ends by itself. */
const FAREWELL_MS = 1000;

/** What must end although no session tells of it. */
export type Stray = {
  readonly process: ProcessName;
  readonly uid: number | null;
  readonly kind: 'connection' | 'process';
  readonly why: string;
  /** It should never be so. */
  readonly alarm: boolean;
};

/** What identifies it in the log; of admins, who share a user id, the first name stands for all. */
export const strayFacts = ({ process, uid, kind }: Stray, state: State): object => {
  const account = [...state.values()].find((each) => each.uid === uid)?.name;
  return {
    ...(account !== undefined && { account }),
    ...{ uid, pid: process.pid },
    ...(kind === 'process' && { outside: 'it ran under no connection' }),
  };
};

/**
 * Tells which connections and processes must end although no session tells of them: their line was lost, or they have left their
 * connection. Remembers since when it has seen them.
 *
 * @param now milliseconds of a steady clock
 */
export const createStrays = (now: () => number) => {
  let since: ReadonlyMap<string, number> = new Map();
  let urgent: ReadonlySet<string> = new Set();

  /**
   * @param unlabelled connections that are logged in, and that no session has
   * @param outside processes of accounts under no connection
   * @param lost user ids of accounts that have just lost something: theirs get hardly any time
   */
  return (
    unlabelled: readonly Connection[],
    outside: readonly Process[],
    state: State,
    losses: PrivilegeLosses,
    lost: ReadonlySet<number> = new Set(),
  ): readonly Stray[] => {
    since = new Map([...unlabelled, ...outside].map(processId).map((id) => [id, since.get(id) ?? now()]));
    const ofLosers = [...unlabelled, ...outside].filter(({ uid }) => uid !== null && lost.has(uid));
    urgent = new Set([...[...urgent].filter((id) => since.has(id)), ...ofLosers.map(processId)]);
    const isLong = (id: string, milliseconds: number): boolean => now() - (since.get(id) ?? now()) >= milliseconds;
    const accounts = Map.groupBy(state.values(), ({ uid }) => uid);

    const connections = unlabelled.flatMap((connection): Stray[] => {
      const names = (accounts.get(connection.uid ?? -1) ?? []).map(({ name }) => name);
      const { uid, ...process } = connection;
      const end = (why: string, alarm: boolean): Stray[] => [{ kind: 'connection', process, uid, why, alarm }];
      if (names.length === 0) return end('its account is gone', false);
      // Of admins, who share a user id, it may be any.
      if (names.some((name) => mayHoldLostPrivileges(name, connection.start, losses)))
        return end('its account lost a privilege', false);
      const id = processId(connection);
      return isLong(id, urgent.has(id) ? SETTLE_MS : PATIENCE_MS)
        ? end('it cannot be told which key opened it', true)
        : [];
    });
    const processes = outside.flatMap((process): Stray[] => {
      const hasNoAccount = !accounts.has(process.uid);
      const id = processId(process);
      if (!isLong(id, hasNoAccount || urgent.has(id) ? SETTLE_MS : FAREWELL_MS)) return [];
      const why = hasNoAccount ? 'its account is gone' : 'its connection has ended';
      return [{ kind: 'process', process, uid: process.uid, why, alarm: false }];
    });
    return [...connections, ...processes];
  };
};
