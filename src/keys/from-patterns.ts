import { isIPv4, isIPv6 } from 'node:net';

/** No address pattern needs more, and sshd's match_pattern is exponential in the number of stars. */
const MOST_STARS = 8;
const MOST_PATTERN = 253;
const MOST_LIST = 8192;

/**
 * What is wrong with the value of from="…", or null. It is a comma-separated list of addresses, networks in CIDR notation and wildcard patterns,
 * each negated by a leading `!` (ssh_config(5), PATTERNS). One bad network makes sshd refuse every login with the key (addr_match_list).
 */
export const faultOfFrom = (list: string): string | null => {
  if (list.length > MOST_LIST) return `from= is longer than ${MOST_LIST} characters`;
  for (const pattern of list.split(',')) {
    const fault = faultOfPattern(pattern.startsWith('!') ? pattern.slice(1) : pattern);
    if (fault) return fault;
  }
  return null;
};

const faultOfPattern = (pattern: string): string | null => {
  if (pattern === '') return 'from= has an empty address in its list';
  if (pattern.length > MOST_PATTERN) return `from= has an address of more than ${MOST_PATTERN} characters`;
  if (!/^[A-Za-z0-9.:*?_/-]+$/.test(pattern)) return 'from= has a character that no address, name or pattern has';
  if (pattern.includes('/'))
    return isNetwork(pattern) ? null : `from= has '${pattern}', which is not a network with all host bits zero`;
  return pattern.split('*').length - 1 > MOST_STARS ? `from= has a pattern with more than ${MOST_STARS} stars` : null;
};

const isNetwork = (text: string): boolean => {
  const [address = '', length = '', ...rest] = text.split('/');
  // It cannot be longer than sshd's buffer for an address (addr_pton_cidr).
  if (rest.length > 0 || !/^\d{1,3}$/.test(length)) return false;
  const bytes = networkBytes(address);
  return bytes.length > 0 && Number(length) <= bytes.length * 8 && hostBitsAreZero(bytes, Number(length));
};

/** The 4 or 16 bytes of an address without a zone. Empty for anything else. */
export const networkBytes = (address: string): readonly number[] =>
  isIPv4(address) ? address.split('.').map(Number) : isIPv6(address) ? ipv6Bytes(address) : [];

const hostBitsAreZero = (bytes: readonly number[], length: number): boolean =>
  bytes.every((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, length - index * 8)))) === 0);

/** The 16 bytes of an address that isIPv6 accepted (RFC 4291, 2.2), without a zone. */
const ipv6Bytes = (text: string): number[] => {
  const [head = '', tail] = text.split('::');
  const [front, back] = [groups(head), groups(tail ?? '')];
  return tail === undefined ? front : [...front, ...Array<number>(16 - front.length - back.length).fill(0), ...back];
};

const groups = (text: string): number[] =>
  text === ''
    ? []
    : text.split(':').flatMap((group) => {
        if (group.includes('.')) return group.split('.').map(Number);
        const value = Number.parseInt(group, 16);
        return [value >> 8, value & 0xff];
      });
