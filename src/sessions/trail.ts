import type { LedgerEvent, Refusal } from './ledger.ts';
import type { Session } from './session.ts';

/** How many lines about strangers are written at once, how many a second after that, and how often the rest is summed up. */
const BURST = 10;
const PER_SECOND = 1;
const SUMMARY_MS = 60_000;
const MOST_ADDRESSES = 100;

/** What the trail writes to: pino, or a test's list. */
export type TrailLog = {
  readonly info: (facts: object, message: string) => void;
  readonly warn: (facts: object, message: string) => void;
};

/** What identifies a session in every line about it. */
export const sessionFacts = ({ account, role, fingerprint, comment, address, port }: Session) => ({
  ...{ account, ...(role && { role }), fingerprint, ...(comment && { comment }), from: address, port },
});

/**
 * Keeps strangers from filling the log: a bucket of lines, and a sum of what did not fit. Call `tick` now and then.
 *
 * @param now milliseconds of a steady clock
 */
export const createStrangerLog = (log: TrailLog, now: () => number) => {
  let tokens = BURST;
  let filledAt = now();
  let hidden = 0;
  let since = now();
  const addresses = new Map<string, number>();

  const take = (): boolean => {
    tokens = Math.min(BURST, tokens + ((now() - filledAt) / 1000) * PER_SECOND);
    filledAt = now();
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  };

  return {
    refused: ({ address, port, asked, fingerprints, reason }: Refusal): void => {
      if (take()) {
        const facts = {
          reason,
          ...(asked !== null && { asked }),
          ...(fingerprints.length > 0 && { offered: fingerprints.join(' ') }),
        };
        log.warn({ ...facts, from: address, ...(port !== null && { port }) }, 'login refused');
        return;
      }
      if (hidden === 0) since = now();
      hidden += 1;
      const name = addresses.has(address) || addresses.size < MOST_ADDRESSES ? address : 'others';
      addresses.set(name, (addresses.get(name) ?? 0) + 1);
    },
    /** Writes the sum, if there is one and a minute has passed, or at once when the server ends. */
    tick: (atOnce = false): void => {
      if (hidden === 0 || (!atOnce && now() - since < SUMMARY_MS)) return;
      const most = [...addresses].sort(([, a], [, b]) => b - a).slice(0, 3);
      const facts = {
        logins: hidden,
        seconds: Math.round((now() - since) / 1000),
        from: most.map(([address, count]) => `${address} (${count})`).join(', '),
      };
      log.warn(facts, 'more logins refused, not shown one by one');
      hidden = 0;
      addresses.clear();
    },
  };
};

/** How a session ended, in the words of the trail. */
export const howClosed = (how: Extract<LedgerEvent, { kind: 'closed' }>['how']): string =>
  ({
    disconnected: 'the client disconnected',
    closed: 'the client closed the connection',
    reset: 'the client reset the connection',
    'timed-out': 'the network timed out',
    vanished: 'the client stopped answering',
    unused: 'nothing was done over it',
    broken: 'the connection broke',
  })[how];
