/**
 * Whether a pattern of from= can match the text of any address at all. sshd writes IPv4 as four plain numbers, and IPv6 in small
 * letters and shortened, without leading zeros (inet_ntop(3)). A pattern without a colon is not compared with the zone of a link-local
 * address (`fe80::1%eth0`): nobody means that by `*.lan`.
 *
 * @param pattern with `*` for any text and `?` for one character, in any case (match_pattern_list)
 */
export const mayMatchAddress = (pattern: string): boolean => {
  const text = pattern.toLowerCase().replace(/\*+/g, '*');
  if (text.replaceAll('*', '').length > LONGEST) return false;
  return matches(text, IPV4) || matches(text, text.includes(':') ? IPV6_WITH_ZONE : IPV6);
};

/** 39 characters, then `%` and a zone of 15 characters (IFNAMSIZ). */
const LONGEST = 55;
const ALPHABET = [...'0123456789abcdef.:%'];

type Step = (state: string, char: string) => string | null;
/** The texts that are addresses, as an automaton. A state is a short text; null is no address. */
type Addresses = {
  readonly start: string;
  readonly step: Step;
  readonly ends: (state: string) => boolean;
  /** The state that follows each state and character. Filled when it is needed. */
  readonly after: Map<string, readonly string[]>;
};

/** Follows pattern and address together, through all states that both can be in. */
const matches = (pattern: string, { start, step, ends, after }: Addresses): boolean => {
  const next = (state: string): readonly string[] => {
    const known = after.get(state) ?? [...new Set(ALPHABET.flatMap((char) => step(state, char) ?? []))];
    after.set(state, known);
    return known;
  };
  let states = new Set([start]);
  for (const char of pattern) {
    const reached = new Set(char === '*' ? states : []);
    // The iterator of a set also visits what is added meanwhile.
    for (const state of char === '*' ? reached : states)
      for (const each of char === '*' || char === '?' ? next(state) : [step(state, char)])
        if (each !== null) reached.add(each);
    states = reached;
    if (states.size === 0) return false;
  }
  return [...states].some(ends);
};

/** How many numbers are complete, and what the current one can become. Of each only as much as decides about its next digit. */
const stepIPv4: Step = (state, char) => {
  const [done = '0', begun = ''] = state;
  if (char === '.') return begun === '' || done === '3' ? null : String(Number(done) + 1);
  if (!/\d/.test(char)) return null;
  switch (begun) {
    case '':
      return `${done}${char === '0' ? 'x' : char > '2' ? '3' : char}`;
    case '1':
    case '2':
      return `${done}${begun === '1' || char < '5' ? 'd' : char === '5' ? '5' : 'x'}`;
    case '3':
      return `${done}x`;
    case 'd':
      return `${done}x`;
    case '5':
      return char <= '5' ? `${done}x` : null;
    default:
      return null;
  }
};

const endsIPv4 = (state: string): boolean => state.length === 2 && state.startsWith('3');

/**
 * How many groups have begun, the digits of the last one (z: a zero, which must be alone), how many colons came just now, and whether there
 * was a `::`.
 */
const NEW_IPV6 = '000-';

const stepIPv6 =
  (withZone: boolean): Step =>
  (state, char) => {
    if (state === 'zone') return state;
    const [groups = '0', digits = '0', colons = '0', double = '-'] = state;
    if (char === '%') return withZone && endsIPv6(state) ? 'zone' : null;
    if (char === ':') {
      if (colons === '0') return groups === '8' ? null : `${groups}01${double}`;
      return colons === '1' && double === '-' ? `${groups}02+` : null;
    }
    if (!/[0-9a-f]/.test(char)) return null;
    // If the address begins with a colon, a second one must follow.
    if (groups === '0' && colons === '1') return null;
    if (digits === '0') {
      const most = double === '+' ? 6 : 8;
      return Number(groups) < most ? `${Number(groups) + 1}${char === '0' ? 'z' : '1'}0${double}` : null;
    }
    return digits === 'z' || digits === '4' ? null : `${groups}${Number(digits) + 1}0${double}`;
  };

const endsIPv6 = (state: string): boolean => {
  if (state === 'zone') return true;
  const [groups = '0', , colons, double] = state;
  return double === '+' ? colons !== '1' && Number(groups) <= 6 : groups === '8' && colons === '0';
};

const IPV4: Addresses = { start: '0', step: stepIPv4, ends: endsIPv4, after: new Map() };
const ipv6 = (withZone: boolean): Addresses => ({
  ...{ start: NEW_IPV6, step: stepIPv6(withZone), ends: endsIPv6, after: new Map() },
});
const [IPV6, IPV6_WITH_ZONE] = [ipv6(false), ipv6(true)];
