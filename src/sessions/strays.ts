import type { State } from '../accounts/account.ts';
import type { AccountName } from '../accounts/name.ts';
import type { Connection } from './connections.ts';
import { processId } from './ending.ts';
import { mayHoldLostPrivileges, type PrivilegeLosses } from './revocation.ts';
import type { Session } from './session.ts';
import { createPatience, unclaimed } from './unclaimed.ts';

/** In which sshd's line about a login that has just come through is read. */
const SETTLE_MS = 100;

export type StrayOptions = {
  readonly sessions: () => readonly Session[];
  readonly connections: () => readonly Connection[];
  readonly state: () => State;
  readonly losses: () => PrivilegeLosses;
  readonly end: (connection: Connection, reason: string) => void;
  /** Runs what may fail, and whose next time will do. */
  readonly survive: (work: () => void) => void;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
};

/** Ends connections of which no session tells: their line was lost, or made to count for another's. */
export const createStrays = ({ sessions, connections, state, losses, end, survive, now }: StrayOptions) => {
  const lasting = createPatience(now);

  /** By its account alone. */
  const judge = (found: readonly Connection[]): void => {
    const known = new Set(sessions().flatMap(({ process }) => (process ? [processId(process)] : [])));
    for (const connection of found.filter((each) => !known.has(processId(each)))) {
      const gone = !state().has(connection.account as AccountName);
      if (gone || mayHoldLostPrivileges(connection.account, connection.start, losses()))
        end(connection, gone ? 'its account is gone' : 'its account lost a privilege');
    }
  };

  const endUnclaimed = (found: readonly Connection[]): void => {
    for (const connection of found) end(connection, 'it cannot be told which key opened it');
  };

  const of = (accounts: ReadonlySet<string>): readonly Connection[] =>
    [...unclaimed(sessions(), connections())].flatMap(([account, each]) => (accounts.has(account) ? each : []));

  return {
    /** Looks at all of them, now and then. */
    look: (found: readonly Connection[]): void => {
      judge(found);
      endUnclaimed(lasting(unclaimed(sessions(), found)));
    },
    /** These accounts have lost a key or more: whoever was let in by it must not stay. Who is just logging in is told from them a moment later. */
    lost: (accounts: ReadonlySet<string>): void => {
      judge(connections());
      const before = new Set(of(accounts).map(processId));
      if (before.size === 0) return;
      const again = (): void => endUnclaimed(of(accounts).filter((each) => before.has(processId(each))));
      setTimeout(() => survive(again), SETTLE_MS);
    },
  };
};
