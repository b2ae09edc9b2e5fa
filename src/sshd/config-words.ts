import { failure } from '../failure.ts';
/*
 * Each function returns a word that means the same to sshd_config(5) and to the shell. If there is none, it throws an Error with cause
 * `{ code: 'unsafe-sshd-config', found }`.
 */

/** A word without a token (%), a pattern or a quote. */
export const plain = (word: string): string => {
  if (!/^[A-Za-z0-9_./:@+,-]+$/.test(word)) throw unsafe(JSON.stringify(word));
  return word;
};

/** Host and port of a URL. An IPv6 address has brackets, which mean nothing special to sshd. */
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
