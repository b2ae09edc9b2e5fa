import { failure } from '../failure.ts';
/*
 * Words that mean one and the same to sshd_config(5) and to the shell, or none: each of these throws an Error with cause
 * `{ code: 'unsafe-sshd-config', found }`.
 */

/** Without a token (%), a pattern or a quote. */
export const plain = (word: string): string => {
  if (!/^[A-Za-z0-9_./:@+,-]+$/.test(word)) throw unsafe(JSON.stringify(word));
  return word;
};

/** Host and port of a URL. The brackets are an IPv6 address's, and nothing to sshd. */
export const plainAddress = (address: string): string => {
  plain(address.replace(/^\[([0-9a-f:.]+)\]/, '$1'));
  return address;
};

/** A whole number, zero or more. */
export const plainNumber = (value: number): string => {
  if (!Number.isSafeInteger(value) || value < 0) throw unsafe(String(value));
  return String(value);
};

const unsafe = (found: string): Error =>
  failure(`${found} cannot be written into sshd's configuration`, { code: 'unsafe-sshd-config', found });

/** A size as the launcher reads it: bytes, or auto. */
export const sizeWord = (size: number | 'auto'): string => (size === 'auto' ? size : plainNumber(size));
