import type { RefusalReason, SshdEvent } from '../sshd/log.ts';
import { printable } from '../text/printable.ts';
import { peerName } from './connections.ts';

/** Why a key that is right did not open: its from= does not allow the address, its expiry-time= has passed, or nobody knows which option it was. */
export type OptionRefusal = 'not-from' | 'expired' | 'key-options';

/** A login that was tried and failed. Texts are printable. */
export type Refusal = {
  readonly address: string;
  readonly port: number | null;
  /** The account asked for: hostile text, made printable and cut; null if none was named. */
  readonly asked: string | null;
  /** Of the keys that were offered, as far as sshd logged them; only the first few. */
  readonly fingerprints: readonly string[];
  /** Other accounts that one of these keys opens, if there are any. */
  readonly opens?: readonly string[];
  readonly reason: RefusalReason | OptionRefusal | 'dropped' | 'penalty' | 'gave-up' | 'old-signature';
};

/** How many strangers are kept whose connection has not ended yet. Beyond that the oldest are told of early, so that they never fill memory. */
const MOST_STRANGERS = 1000;
const MOST_FINGERPRINTS = 5;
const MOST_NAME = 64;

type Stranger = Refusal & { readonly port: number; readonly at: number };

/** After one of these, sshd says nothing more of the connection that is worth waiting for. */
const LAST_WORDS: ReadonlySet<RefusalReason> = new Set(['nothing-in-common', 'not-ssh', 'login-timeout']);

/**
 * Gathers what sshd says of connections that are not logged in, until they end. A connection that says nothing at all, such as a health check or
 * a port scan, is no login and leaves no trace.
 *
 * @param now milliseconds of a steady clock
 */
export const createStrangers = (now: () => number) => {
  const waiting = new Map<string, Stranger>();
  /** How many logins sshd has called not allowed, by address and name: sshd names these without their port. */
  const notAllowed = new Map<string, number>();

  const makeRoom = (): readonly Refusal[] => {
    const oldest = waiting.size >= MOST_STRANGERS ? waiting.values().next().value : undefined;
    return oldest ? told(oldest) : [];
  };

  const told = ({ at: _, ...refusal }: Stranger): readonly Refusal[] => {
    waiting.delete(peerName(refusal.address, refusal.port));
    return [refusal];
  };

  const wasNotAllowed = (who: string): boolean => {
    const left = (notAllowed.get(who) ?? 0) - 1;
    if (left > 0) notAllowed.set(who, left);
    else notAllowed.delete(who);
    return left >= 0;
  };

  const refused = (
    event: Extract<SshdEvent, { kind: 'refused' }>,
    byOptions: OptionRefusal | null,
  ): readonly Refusal[] => {
    const { address, port, reason } = event;
    const asked = event.user === null ? null : printable(event.user, MOST_NAME);
    if (address === null) return [];
    if (port === null) {
      if (reason !== 'not-allowed') return [{ address, port, asked, fingerprints: [], reason }];
      const who = `${address} ${asked}`;
      if (notAllowed.has(who) || notAllowed.size < MOST_STRANGERS) notAllowed.set(who, (notAllowed.get(who) ?? 0) + 1);
      return [];
    }
    const known = waiting.get(peerName(address, port));
    const early = known ? [] : makeRoom();
    const offered = /SHA256:[A-Za-z0-9+/]+/.exec(reason === 'failed' ? event.detail : '')?.[0];
    const fingerprints = [...(known?.fingerprints ?? []), ...(offered ? [offered] : [])].slice(0, MOST_FINGERPRINTS);
    const at = known?.at ?? now();
    // That the account is unknown or closed says more than that each of its keys failed.
    const telling = byOptions ?? (known && reason === 'failed' ? known.reason : reason);
    const stranger = { address, port, asked: asked ?? known?.asked ?? null, fingerprints, reason: telling, at };
    waiting.set(peerName(address, port), stranger);
    return LAST_WORDS.has(reason) ? [...early, ...told(stranger)] : early;
  };

  const closed = (
    { address, port, user }: Extract<SshdEvent, { kind: 'closed' }>,
    oldSignature: boolean,
  ): readonly Refusal[] => {
    const known = waiting.get(peerName(address, port));
    if (known) return told(oldSignature && known.reason === 'failed' ? { ...known, reason: 'old-signature' } : known);
    // sshd says this twice of some connections. The second time nothing is known of them any more.
    if (user === null) return [];
    const asked = printable(user, MOST_NAME);
    const silent = oldSignature ? 'old-signature' : 'gave-up';
    const reason = wasNotAllowed(`${address} ${asked}`) ? 'not-allowed' : silent;
    return [{ address, port, asked, fingerprints: [], reason }];
  };

  return {
    refused,
    closed,
    dropped: ({ address, port, reason }: Extract<SshdEvent, { kind: 'dropped' }>): Refusal => ({
      ...{ address, port, asked: null, fingerprints: [] },
      reason: reason === 'penalty' ? 'penalty' : 'dropped',
    }),
    /** It has logged in with one of its later keys, or is gone without a word. */
    forget: (peer: string): void => {
      waiting.delete(peer);
    },
    /** Those who began so long ago that sshd must have ended them, although it has not said so. */
    overdue: (milliseconds: number): readonly Refusal[] =>
      [...waiting.values()].filter(({ at }) => now() - at > milliseconds).flatMap(told),
  };
};
