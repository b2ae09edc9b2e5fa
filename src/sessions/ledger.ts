import type { State } from '../accounts/account.ts';
import type { AccountName } from '../accounts/name.ts';
import type { CloseReason, SshdEvent } from '../sshd/log.ts';
import { peerName } from './connections.ts';
import type { Session } from './session.ts';
import { createStrangers, type Refusal } from './strangers.ts';

export type LedgerEvent =
  | { readonly kind: 'opened'; readonly session: Session }
  /** 'replaced': its address and port are another connection's by now, and sshd said nothing of its end. */
  | { readonly kind: 'closed'; readonly session: Session; readonly how: CloseReason | 'replaced' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'user-child'; readonly pid: number };

const asEvents = (refusals: readonly Refusal[]): readonly LedgerEvent[] =>
  refusals.map((refusal) => ({ kind: 'refused', refusal }));

/**
 * Joins sshd's lines, which come interleaved, into sessions and refused logins, by address and port. Holds only what is not
 * over yet.
 *
 * @param now milliseconds since the epoch, for people
 * @param steady milliseconds of a steady clock
 * @param ticks clock ticks since boot
 */
export const createLedger = (
  state: () => State,
  now: () => number,
  steady: () => number = now,
  ticks: () => number = now,
) => {
  const sessions = new Map<string, Session>();
  const strangers = createStrangers(steady);

  const opened = ({ address, port, user, fingerprint }: Extract<SshdEvent, { kind: 'accepted' }>): LedgerEvent[] => {
    const peer = peerName(address, port);
    strangers.forget(peer);
    const account = state().get(user as AccountName);
    const key = account?.keys.find((each) => each.fingerprint === fingerprint);
    const session: Session = {
      ...{ peer, address, port, account: user, fingerprint, since: now(), steadySince: steady(), ticks: ticks() },
      ...{ role: account?.role ?? null, uid: account?.uid ?? null },
      ...{ subRepositories: account?.subRepositories === true, process: null },
      ...{ comment: key?.comment ?? '', file: key?.file ?? null, line: key?.line ?? null },
    };
    const earlier = sessions.get(peer);
    sessions.set(peer, session);
    return [
      ...(earlier ? [{ kind: 'closed', session: earlier, how: 'replaced' } as const] : []),
      { kind: 'opened', session },
    ];
  };

  const closed = (event: Extract<SshdEvent, { kind: 'closed' }>): readonly LedgerEvent[] => {
    const peer = peerName(event.address, event.port);
    const session = sessions.get(peer);
    if (!session) return event.loggedIn ? [] : asEvents(strangers.closed(event));
    sessions.delete(peer);
    return [{ kind: 'closed', session, how: event.reason }];
  };

  return {
    /** Takes one line's event, and says what follows from it. */
    take: (event: SshdEvent): readonly LedgerEvent[] => {
      switch (event.kind) {
        case 'accepted':
          return opened(event);
        case 'closed':
          return closed(event);
        case 'refused':
          return asEvents(strangers.refused(event));
        case 'dropped':
          return asEvents([strangers.dropped(event)]);
        case 'user-child':
          return [event];
        case 'connected':
        case 'key-found':
        case 'session-started':
        case 'session-closed':
        case 'listening':
        case 'penalty':
        case 'stopping':
        case 'trouble':
        case 'other':
          return [];
      }
    },
    /** What follows from sshd having said nothing more of a stranger for so long. */
    overdue: (milliseconds: number): readonly LedgerEvent[] => asEvents(strangers.overdue(milliseconds)),
    sessions: (): readonly Session[] => [...sessions.values()],
    get: (peer: string): Session | undefined => sessions.get(peer),
    /** Notes the root process of a session. */
    bind: (peer: string, process: NonNullable<Session['process']>): void => {
      const session = sessions.get(peer);
      if (session) sessions.set(peer, { ...session, process });
    },
    /** Forgets a session whose end sshd did not log: one that was ended by a signal. */
    forget: (peer: string): boolean => sessions.delete(peer),
  };
};

export type Ledger = ReturnType<typeof createLedger>;
