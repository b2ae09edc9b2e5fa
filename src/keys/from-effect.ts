import { isIP, isIPv4 } from 'node:net';
import { oldForm } from '../accounts/old-address.ts';
import { mayMatchAddress } from './address-pattern.ts';
import { networkBytes } from './from-patterns.ts';

/** What a value of from="…" results in. `found` is printable: it has only characters that a pattern may have. */
export type FromEffect = {
  /** The key would be accepted from no address at all. */
  readonly nobody: boolean;
  /** The patterns that can never do what they say, each with the reason. */
  readonly idle: readonly { readonly pattern: string; readonly why: string }[];
};

/** Ranges of addresses as numbers, ends included. IPv6 comes after all of IPv4. */
type Range = { readonly first: bigint; readonly last: bigint };

const IPV6 = 1n << 32n;
const range = (first: bigint, last: bigint): Range => ({ first, last });
const ALL: readonly Range[] = [range(0n, IPV6 - 1n), range(IPV6, IPV6 + (1n << 128n) - 1n)];
/**
 * Addresses that clients can have. sshd takes a mapped address (::ffff:192.0.2.7) for the IPv4 address in it, and nobody has the unspecified
 * address.
 */
const NOBODYS: readonly Range[] = [
  range(0n, 0n),
  range(IPV6, IPV6),
  range(IPV6 + (0xffffn << 32n), IPV6 + (0xffffn << 32n) + IPV6 - 1n),
];

/**
 * Says what a list that sshd accepts can do. A name never matches, since sshd asks no DNS (UseDNS no). A pattern that no address
 * looks like never matches, and neither does one that a negated pattern of the same list refuses.
 *
 * @param list a value in which faultOfFrom found nothing wrong
 */
export const effectOfFrom = (list: string): FromEffect => {
  const patterns = list.split(',');
  const refused = patterns.filter((each) => each.startsWith('!')).map((each) => each.slice(1));
  const texts = new Set(refused.map((pattern) => pattern.toLowerCase()));
  const closed = refused.flatMap((pattern) => rangesOf(pattern) ?? []);
  const idle: { pattern: string; why: string }[] = [];
  let allowing = 0;
  for (const pattern of patterns) {
    const plain = pattern.replace(/^!/, '');
    const ranges = rangesOf(plain);
    const why =
      whyNever(plain, ranges) ??
      (plain === pattern && (texts.has(plain.toLowerCase()) || areIn(ranges ?? ALL, closed))
        ? 'a negated pattern of the list refuses all of it'
        : null);
    if (why !== null) idle.push({ pattern, why: plain === pattern ? why : `${why}, so it refuses nobody` });
    else if (plain === pattern) allowing += 1;
  }
  return { nobody: allowing === 0, idle };
};

const whyNever = (pattern: string, ranges: readonly Range[] | null): string | null => {
  if (ranges !== null) return areIn(ranges, NOBODYS) ? 'no client has such an address' : null;
  // Without a wildcard it would have been an address.
  if (/[*?]/.test(pattern) && mayMatchAddress(pattern)) return null;
  return /[g-wyz_-]/i.test(pattern)
    ? 'it is a name, and sshd compares addresses, not names'
    : 'no address looks like it';
};

/** Null where it cannot be told: a pattern with a wildcard inside, or what is no address. */
const rangesOf = (pattern: string): readonly Range[] | null => {
  if (/^\*+$/.test(pattern)) return ALL;
  const beginning = /^((?:\d{1,3}\.){1,3})\*(?:\.\*)*$/.exec(pattern)?.[1];
  if (beginning !== undefined) {
    const octets = beginning.split('.').slice(0, -1);
    const whole = [...octets, '0', '0', '0'].slice(0, 4).join('.');
    const stars = pattern.split('*').length - 1;
    return isIPv4(whole) && octets.length + stars <= 4 ? [network(whole, octets.length * 8)] : null;
  }
  const [address = '', length] = pattern.split('/');
  const number = isIP(address) ? address : length === undefined ? oldForm(address) : null;
  return number === null ? null : [network(number, length === undefined ? 128 : Number(length))];
};

/** @param bits of the address that are fixed; more than it has means all */
const network = (address: string, bits: number): Range => {
  const bytes = networkBytes(address);
  const size = BigInt(bytes.length * 8);
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const first = size === 32n ? value : IPV6 + value;
  const free = size - BigInt(Math.min(bits, Number(size)));
  return range(first, first + (1n << free) - 1n);
};

/** Whether each of the first ranges is covered by the others together. */
const areIn = (ranges: readonly Range[], others: readonly Range[]): boolean => {
  const sorted = [...others].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  return ranges.every(({ first, last }) => {
    let next = first;
    for (const other of sorted) if (other.first <= next && other.last >= next) next = other.last + 1n;
    return next > last;
  });
};
