import type { NarrowingOptions } from '../accounts/authorized-key.ts';
import { readExpiryTime } from '../accounts/expiry-time.ts';
import { faultOfFrom } from './from-patterns.ts';
import { nameAndValue, splitOutsideQuotes, unquote } from './option-words.ts';

/** The options of a key line, or why they are refused. `found` is printable and holds no value of an option that we do not know. */
export type OptionsVerdict =
  | { readonly ok: true; readonly options: NarrowingOptions }
  | {
      readonly ok: false;
      readonly code: 'forbidden-option' | 'malformed-option';
      readonly found: string;
      readonly remedy: string;
    };

/** Options that only take away. `restrict` implies them, and every line that we write begins with it. */
const IMPLIED: ReadonlySet<string> = new Set([
  'restrict',
  'no-pty',
  'no-port-forwarding',
  'no-agent-forwarding',
  'no-x11-forwarding',
  'no-user-rc',
]);

const malformed = (found: string, remedy: string): OptionsVerdict => ({
  ok: false,
  code: 'malformed-option',
  found,
  remedy,
});

/**
 * Reads the options before a key, as in sshd(8), AUTHORIZED_KEYS: comma-separated, names in any case, values quoted with `\"` for
 * a quote inside. Only what narrows is accepted. What `restrict` implies is accepted and dropped.
 */
export const parseOptions = (text: string): OptionsVerdict => {
  let options: NarrowingOptions = {};
  for (const word of splitOutsideQuotes(text)) {
    const [written, value] = nameAndValue(word);
    const name = written.toLowerCase();
    switch (name) {
      case 'from':
      case 'expiry-time': {
        const quoted = value === null ? null : unquote(value);
        if (quoted === null) return malformed(`${name} without a value in double quotes`, `write ${name}="…"`);
        if ((name === 'from' ? options.from : options.expiryTime) !== undefined) {
          return malformed(`${name}= is written twice`, 'write it once');
        }
        const fault = name === 'from' ? faultOfFrom(quoted) : faultOfExpiry(quoted);
        if (fault) return malformed(fault, REMEDIES[name]);
        options = name === 'from' ? { ...options, from: quoted } : { ...options, expiryTime: quoted };
        break;
      }
      case 'verify-required':
        if (value !== null) return malformed('verify-required with a value', 'write it without one');
        options = { ...options, verifyRequired: true };
        break;
      default:
        if (!IMPLIED.has(name)) return refused(written);
        if (value !== null) return malformed(`${name} with a value`, 'write it without one');
    }
  }
  return { ok: true, options };
};

const REMEDIES = {
  from: 'list addresses, networks such as 10.0.0.0/8, or patterns such as 192.168.1.*, with commas between them',
  'expiry-time': 'write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z after it for UTC',
} as const;

const faultOfExpiry = (value: string): string | null =>
  readExpiryTime(value) ? null : 'expiry-time= is not a date and time that exists';

/** All other options that sshd knows (sshd(8), AUTHORIZED_KEYS FILE FORMAT). */
const REFUSED: ReadonlySet<string> = new Set([
  ...['from', 'expiry-time', 'verify-required', 'command', 'environment', 'cert-authority', 'principals', 'tunnel'],
  ...['permitopen', 'permitlisten', 'no-touch-required', 'touch-required', 'user-rc', 'pty'],
  ...['port-forwarding', 'agent-forwarding', 'x11-forwarding'],
]);

/**
 * Whether the text before a key can only be the host of a line of known_hosts: names, addresses and patterns, or a hash, with
 * nothing that could be an option.
 */
export const isHost = (text: string): boolean =>
  /^\|1\|[A-Za-z0-9+/=]+\|[A-Za-z0-9+/=]+$/.test(text) ||
  text.split(',').every((word) => {
    const name = word.toLowerCase();
    const isOption = IMPLIED.has(name) || REFUSED.has(name) || name.startsWith('no-');
    return (
      !isOption && /[a-z0-9*]/.test(name) && /^!?(?:[A-Za-z0-9_.*?:-]+|\[[A-Za-z0-9_.*?:-]+\](?::\d+)?)$/.test(word)
    );
  });

/** Only a name is shown, never a value: an environment= or command= may hold a secret. */
const refused = (name: string): OptionsVerdict => {
  const remedy = 'remove it; only from="…", expiry-time="…" and verify-required may stand before a key';
  if (name === '') return malformed('an empty option', 'write one comma between two options, and none at the end');
  return /^[A-Za-z][A-Za-z0-9-]{0,39}$/.test(name)
    ? { ok: false, code: 'forbidden-option', found: `the option '${name}', which is not allowed here`, remedy }
    : { ok: false, code: 'forbidden-option', found: 'something before the key that is not an option', remedy };
};
