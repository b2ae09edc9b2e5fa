import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { oldForm } from '../accounts/old-address.ts';

/**
 * Whether from="…" allows an address, as sshd decides it with UseDNS no (match_host_and_ip). It takes networks in CIDR notation, addresses in
 * any form, and wildcard patterns on the address' text. One negated pattern that matches refuses, whatever else matches.
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

/** match_pattern(): `*` is any text, `?` is one character, and every other character is itself, in upper or lower case. */
const matches = (pattern: string, address: string): boolean => {
  const source = pattern.replace(/[.*+?^${}()|[\]\\]/g, (char) =>
    char === '*' ? '.*' : char === '?' ? '.' : `\\${char}`,
  );
  return new RegExp(`^${source}$`, 'is').test(address);
};
