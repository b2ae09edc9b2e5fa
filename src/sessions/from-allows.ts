import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

/**
 * Whether from="…" allows an address, as sshd decides it with UseDNS no (match_host_and_ip): networks in CIDR notation,
 * addresses however they are written, and wildcard patterns on the address' text; one negated pattern that matches refuses, whatever else does.
 *
 * @param list a value that the key tree's reader has accepted
 */
export const fromAllows = (list: string, address: string): boolean => {
  let allowed = false;
  for (const each of list.split(',')) {
    const negated = each.startsWith('!');
    const pattern = negated ? each.slice(1) : each;
    const number = pattern.includes('/') || isIP(pattern) ? pattern : oldForm(pattern);
    if (!(number === null ? matches(pattern, address) : inNetwork(number, address))) continue;
    if (negated) return false;
    allowed = true;
  }
  return allowed;
};

const inNetwork = (network: string, address: string): boolean => {
  const [base = '', bits] = network.split('/');
  const family = isIPv4(base) ? 'ipv4' : 'ipv6';
  const length = bits ?? (family === 'ipv4' ? 32 : 128);
  const plain = address.replace(/%.*$/, '');
  if (!(family === 'ipv4' ? isIPv4(plain) : isIPv6(plain))) return false;
  const list = new BlockList();
  list.addSubnet(base, Number(length), family);
  return list.check(plain, family);
};

/** sshd reads an address with getaddrinfo, and that takes what inet_aton(3) takes: 127.1, 0x7f000001, 010.0.0.1. */
const oldForm = (text: string): string | null => {
  const parts = text.split('.');
  if (parts.length > 4 || !parts.every((part) => /^(?:0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.test(part))) return null;
  const numbers = parts.map((part) => (/^0\d/.test(part) ? Number.parseInt(part, 8) : Number(part)));
  const last = numbers.pop() ?? 0;
  if (numbers.some((each) => each > 255) || last >= 256 ** (5 - parts.length)) return null;
  const value = numbers.reduce((sum, each, index) => sum + each * 256 ** (3 - index), last);
  return [3, 2, 1, 0].map((byte) => Math.floor(value / 256 ** byte) % 256).join('.');
};

/** match_pattern(): `*` is any text, `?` one character; the rest stands for itself, in any case. */
const matches = (pattern: string, address: string): boolean => {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, (char) =>
    char === '*' ? '.*' : char === '?' ? '.' : `\\${char}`,
  );
  return new RegExp(`^${source}$`, 'is').test(address);
};
