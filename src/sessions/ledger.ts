import type { State } from '../accounts/account.ts';
import type { AccountName } from '../accounts/name.ts';
import { printable } from '../accounts/printable.ts';
import type { CloseReason, SshdEvent } from '../sshd/log.ts';
import { peerName } from './connections.ts';
import type { Session } from './session.ts';

/** A login that was tried and came to nothing. Texts are printable. */
export type Refusal = {
  readonly address: string;
  readonly port: number | null;
  /** The account asked for: hostile text, made printable and cut; null if none was named. */
  readonly asked: string | null;
  readonly fingerprints: readonly string[];
  readonly reason: string;
};

export type LedgerEvent =
  | { readonly kind: 'opened'; readonly session: Session }
  | { readonly kind: 'closed'; readonly session: Session; readonly how: CloseReason }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'user-child'; readonly pid: number };

/** Strangers who have not come to an end yet: more than these are told early, so that they never fill memory. */
const MOST_STRANGERS = 1000;
const MOST_FINGERPRINTS = 5;

type Stranger = { asked: string | null; fingerprints: string[]; reason: string | null };

/**
 * Joins sshd's lines, which come interleaved, into sessions and refused logins, by address and port. Holds only what is not
 * over yet.
 */
export const createLedger = (state: () => State, now: () => number) => {
  const sessions = new Map<string, Session>();
  const strangers = new Map<string, Stranger & { address: string; port: number }>();

  const stranger = (address: string, port: number): { known: Stranger; told: LedgerEvent[] } => {
    const peer = peerName(address, port);
    const found = strangers.get(peer);
    if (found) return { known: found, told: [] };
    const told: LedgerEvent[] = [];
    const oldest = strangers.size >= MOST_STRANGERS ? strangers.entries().next().value : undefined;
    if (oldest) {
      strangers.delete(oldest[0]);
      told.push({ kind: 'refused', refusal: refusalOf(oldest[1]) });
    }
    const known = { address, port, asked: null, fingerprints: [], reason: null };
    strangers.set(peer, known);
    return { known, told };
  };

  const open = (event: Extract<SshdEvent, { kind: 'accepted' }>): LedgerEvent[] => {
    const { address, port, user, fingerprint } = event;
    const peer = peerName(address, port);
    strangers.delete(peer);
    const account = state().get(user as AccountName);
    const key = account?.keys.find((each) => each.fingerprint === fingerprint);
    const session: Session = {
      ...{ peer, address, port, account: user, fingerprint, since: now(), process: null },
      ...{ role: account?.role ?? null, uid: account?.uid ?? null },
      ...{ comment: printable(key?.comment ?? ''), file: key?.file ?? null, line: key?.line ?? null },
    };
    sessions.set(peer, session);
    return [{ kind: 'opened', session }];
  };

  const close = (event: Extract<SshdEvent, { kind: 'closed' }>): LedgerEvent[] => {
    const peer = peerName(event.address, event.port);
    const session = sessions.get(peer);
    if (session) {
      sessions.delete(peer);
      return [{ kind: 'closed', session, how: event.reason }];
    }
    const known = strangers.get(peer);
    strangers.delete(peer);
    // Said twice of some connections, and the second time nothing is known of it any more.
    if (!known && event.user === null) return [];
    const { address, port } = event;
    const asked = known?.asked ?? (event.user === null ? null : printable(event.user, 64));
    return [
      { kind: 'refused', refusal: refusalOf({ address, port, fingerprints: [], reason: null, ...known, asked }) },
    ];
  };

  const refuse = (event: Extract<SshdEvent, { kind: 'refused' }>): LedgerEvent[] => {
    const asked = event.user === null ? null : printable(event.user, 64);
    if (event.address === null || event.port === null) {
      return event.reason === 'not-allowed'
        ? []
        : [
            {
              kind: 'refused',
              refusal: refusalOf({
                address: event.address ?? 'unknown',
                port: null,
                asked,
                fingerprints: [],
                reason: event.reason,
              }),
            },
          ];
    }
    const { known, told } = stranger(event.address, event.port);
    known.asked = asked ?? known.asked;
    known.reason = event.reason;
    const fingerprint = / (SHA256:[A-Za-z0-9+/]+)/.exec(` ${event.detail}`)?.[1];
    if (fingerprint && known.fingerprints.length < MOST_FINGERPRINTS) known.fingerprints.push(fingerprint);
    return told;
  };

  return {
    /** Takes one line's event, and says what follows from it. */
    take: (event: SshdEvent): readonly LedgerEvent[] => {
      switch (event.kind) {
        case 'accepted':
          return open(event);
        case 'closed':
          return close(event);
        case 'refused':
          return refuse(event);
        case 'dropped':
          return [
            {
              kind: 'refused',
              refusal: refusalOf({
                address: event.address,
                port: event.port,
                asked: null,
                fingerprints: [],
                reason: `dropped: ${event.reason}`,
              }),
            },
          ];
        case 'user-child':
          return [event];
        default:
          return [];
      }
    },
    sessions: (): readonly Session[] => [...sessions.values()],
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

const refusalOf = ({
  address,
  port,
  asked,
  fingerprints,
  reason,
}: Stranger & { address: string; port: number | null }): Refusal => ({
  ...{ address, port, asked, fingerprints },
  reason: reason ?? 'no key was accepted',
});
