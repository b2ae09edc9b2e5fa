import type { AuthorizedKey } from '../accounts/authorized-key.ts';
import { type Finding, findingAt } from '../accounts/finding.ts';
import { effectOfFrom } from './from-effect.ts';

/** A finding names at most so many patterns. */
const MOST_NAMED = 3;

/**
 * Options of a key that sshd accepts, but that do not do what they say. The key stays as it is: if nobody can log in with it, sshd
 * refuses, and the log says why.
 */
export const findIdleOptions = (key: AuthorizedKey): readonly Finding[] => {
  const { type, options } = key;
  const found = (severity: Finding['severity'], message: string, remedy: string): Finding =>
    findingAt(severity, key, 'option-without-effect', message, remedy);
  const { nobody, idle } = options.from === undefined ? NO_FROM : effectOfFrom(options.from);
  const reasons = idle.map(({ pattern, why }) => `'${pattern}': ${why}`);
  const from = nobody
    ? [found('error', nobodyText(reasons), ADDRESSES)]
    : reasons.map((reason) => found('warning', `from= has ${reason}`, `remove it; ${ADDRESSES}`));
  return options.verifyRequired && !type.startsWith('sk-')
    ? [...from, found('warning', `verify-required means nothing to a key of type ${type}, only to FIDO keys`, FIDO)]
    : from;
};

const NO_FROM = { nobody: false, idle: [] };

const ADDRESSES = 'write addresses, networks such as 10.0.0.0/8, or patterns such as 192.168.1.*';
const FIDO = 'remove it, or use a key made with: ssh-keygen -t ed25519-sk -O verify-required';

const nobodyText = (reasons: readonly string[]): string => {
  const more = reasons.length > MOST_NAMED ? `; and ${reasons.length - MOST_NAMED} more` : '';
  const named = reasons.slice(0, MOST_NAMED).join('; ');
  return `from= leaves no address, so nobody can log in with this key: ${named === '' ? 'it only refuses' : `${named}${more}`}`;
};
