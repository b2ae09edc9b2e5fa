import type { CloseReason } from '../sshd/log.ts';
import { createBucket } from './bucket.ts';
import type { Closed } from './ledger.ts';
import type { Session } from './session.ts';
import type { Refusal } from './strangers.ts';
import type { Traffic } from './traffic.ts';
import type { Usage } from './usage.ts';

/** How many lines about strangers are written at once, how many a second after that, and how often the rest is summed up. */
const BURST = 10;
const PER_SECOND = 1;
const SUMMARY_MS = 60_000;
const MOST_ADDRESSES = 100;

/** What the trail writes to: pino, or a test's list. */
export type TrailLog = {
  readonly info: (facts: object, message: string) => void;
  readonly warn: (facts: object, message: string) => void;
  readonly error: (facts: object, message: string) => void;
};

/** What identifies a session in every line about it. */
export const sessionFacts = ({ account, role, fingerprint, comment, address, port }: Session) => ({
  ...{ account, ...(role && { role }), fingerprint, ...(comment && { comment }), from: address, port },
});

/** The fields of 'session opened'. */
export const openedFacts = (session: Session) => ({
  ...sessionFacts(session),
  ...(session.file !== null && { key: `${session.file}:${session.line}` }),
});

/** What a session has used, as far as it is known. */
type Used = { readonly traffic: Traffic | undefined; readonly usage: Usage | undefined };

/** The fields of 'session closed'. The bytes are those of the last look: the connection's last seconds are not in them. */
const closedFacts = (session: Session, how: string, { traffic, usage }: Used, now: number) => ({
  ...sessionFacts(session),
  seconds: Math.max(0, Math.round((now - session.steadySince) / 1000)),
  ...(traffic && { inAtLeast: traffic.received, outAtLeast: traffic.sent }),
  ...(usage && { cpuSeconds: Math.round(usage.cpuSeconds * 100) / 100, peakMemory: usage.peakMemory }),
  how,
});

/**
 * Writes that a session is over.
 *
 * @param reason why the server ended it; undefined where it did not
 * @param used its traffic, and what its hosted sessions have used
 * @param now milliseconds of a steady clock
 * @param ended how its borg failed because of the server, in words; undefined where it did not
 */
export const tellClosed = (
  log: TrailLog,
  { session, seen, how }: Closed,
  reason: string | undefined,
  used: Used,
  now: number,
  ended?: string,
): void => {
  const label = how === null ? 'its process ended' : HOW_CLOSED[how];
  // A session that only sshd has told of is written down, but does not count as a login.
  if (!seen) log.info({ ...openedFacts(session), seen: 'it was over before the kernel showed it' }, 'session opened');
  const facts = closedFacts(session, reason === undefined ? label : `ended by the server: ${reason}`, used, now);
  log.info({ ...facts, ...(ended !== undefined && { ended }) }, 'session closed');
};

/**
 * Keeps strangers from filling the log: a bucket of lines, and a sum of what did not fit. Call `tick` now and then.
 *
 * @param now milliseconds of a steady clock
 */
export const createStrangerLog = (log: TrailLog, now: () => number) => {
  const mayWrite = createBucket(BURST, PER_SECOND, now);
  let hidden = 0;
  let since = now();
  const addresses = new Map<string, number>();

  return {
    refused: ({ address, port, asked, fingerprints, opens, reason }: Refusal): void => {
      if (mayWrite()) {
        const facts = {
          reason: WHY_REFUSED[reason],
          ...(asked !== null && { asked }),
          ...(fingerprints.length > 0 && { offered: fingerprints.join(' ') }),
          ...(opens && { opens: opens.join(' ') }),
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

const WHY_REFUSED: Readonly<Record<Refusal['reason'], string>> = {
  'unknown-user': 'there is no such account',
  'not-allowed': 'it is no account of this server',
  failed: 'no key was accepted',
  'not-from': 'its key is right, and from= does not allow its address',
  expired: 'its key is right, and its expiry-time= has passed',
  'key-options': 'its key is right, and an option of the key refuses it',
  'old-signature':
    'its client signs with an algorithm that sshd no longer takes (ssh-rsa with SHA-1): it needs a newer client, or an Ed25519 key',
  'too-many-keys': 'too many keys were tried',
  'nothing-in-common': 'no algorithm in common',
  'not-ssh': 'it does not speak SSH',
  'login-timeout': 'it took too long to log in',
  dropped: 'too many are logging in at once',
  penalty: 'its address is shut out for a while, with all who share it (see PER_SOURCE_PENALTIES)',
  'gave-up': 'it went away before it had logged in',
};

/** How a session ended, in the words of the trail. */
const HOW_CLOSED: Readonly<Record<CloseReason, string>> = {
  disconnected: 'the client disconnected',
  closed: 'the client closed the connection',
  reset: 'the client reset the connection',
  'timed-out': 'the network timed out',
  vanished: 'the client stopped answering',
  unused: 'nothing was done over it',
  broken: 'the connection broke',
};
