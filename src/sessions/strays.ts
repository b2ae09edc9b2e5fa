import type { State } from '../accounts/account.ts';
import type { Connection } from './connections.ts';
import { createOutsiderTimes } from './outsider-times.ts';
import { idOf, type Process, type ProcessId } from './process.ts';
import { mayHoldLostPrivileges, type PrivilegeLosses } from './revocation.ts';

/** In which sshd's line about a login that has come through is read, however busy the machine is. */
const PATIENCE_MS = 10_000;
/** The same where its account has just lost a key: whoever was let in by that must not stay. */
export const SETTLE_MS = 100;

/** What counts at most of the time between two looks: a server that did not run meanwhile has read none of sshd's lines either. */
const LONGEST_STEP_MS = 3000;

/** What must end although no session tells of it. */
export type Stray = {
  /** The root process of a connection, or all that an account has under none. */
  readonly processes: readonly ProcessId[];
  readonly uid: number | null;
  readonly kind: 'session' | 'process';
  readonly why: string;
  /** It should never be so. */
  readonly alarm: boolean;
};

/** What identifies it in the log; of admins, who share a user id, the first name stands for all. */
export const strayFacts = ({ processes, uid, kind }: Stray, state: State): object => {
  const account = [...state.values()].find((each) => each.uid === uid)?.name;
  return {
    ...(account !== undefined && { account }),
    ...{ uid, pid: processes[0]?.pid },
    ...(processes.length > 1 && { processes: processes.length }),
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
  const outsiderTimes = createOutsiderTimes(now, SETTLE_MS);
  let looked = now();
  let lived = 0;

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
    lived += Math.min(now() - looked, LONGEST_STEP_MS);
    looked = now();
    since = new Map(unlabelled.map(idOf).map((id) => [id, since.get(id) ?? lived]));
    const ofLosers = unlabelled.filter(({ uid }) => uid !== null && lost.has(uid));
    urgent = new Set([...[...urgent].filter((id) => since.has(id)), ...ofLosers.map(idOf)]);
    const isLong = (id: string, milliseconds: number): boolean => lived - (since.get(id) ?? lived) >= milliseconds;
    const accounts = Map.groupBy(state.values(), ({ uid }) => uid);

    const connections = unlabelled.flatMap((connection): Stray[] => {
      const names = (accounts.get(connection.uid ?? -1) ?? []).map(({ name }) => name);
      const { pid, start, uid } = connection;
      const processes = [{ pid, start }];
      const end = (why: string, alarm: boolean): Stray[] => [{ kind: 'session', processes, uid, why, alarm }];
      if (names.length === 0) return end('its account is gone', false);
      // Of admins, who share a user id, it may be any.
      if (names.some((name) => mayHoldLostPrivileges(name, connection.start, losses)))
        return end('its account lost a privilege', false);
      const id = idOf(connection);
      return isLong(id, urgent.has(id) ? SETTLE_MS : PATIENCE_MS)
        ? end('it cannot be told which key opened it', true)
        : [];
    });
    const due = outsiderTimes(outside, (uid) => accounts.get(uid)?.length ?? 0, lost);
    const leavers = [...due].map(([uid, processes]): Stray => {
      const why = accounts.has(uid) ? 'its connection has ended' : 'its account is gone';
      return { kind: 'process', processes, uid, why, alarm: false };
    });
    return [...connections, ...leavers];
  };
};
