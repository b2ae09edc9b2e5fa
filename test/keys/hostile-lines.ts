import { SAMPLE_KEYS } from './sample-keys.ts';

/** A source of whole numbers from 0 up to, and without, `below`; equal seeds give equal numbers (mulberry32). */
export type Dice = (below: number) => number;

export const diceOf = (seed: number): Dice => {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
};

const pick = <T>(dice: Dice, list: readonly T[]): T => {
  const chosen = list[dice(list.length)];
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen;
};

const SAMPLES: readonly string[] = Object.values(SAMPLE_KEYS);

const TYPES: readonly string[] = [
  ...new Set(SAMPLES.map((line) => line.split(' ')[0] ?? '')),
  'rsa-sha2-256',
  'rsa-sha2-512',
  'webauthn-sk-ecdsa-sha2-nistp256@openssh.com',
  'rsa-sha2-256-cert-v01@openssh.com',
  'SSH-RSA',
  'RSA',
  'rsa',
  'ED25519',
  'ed25519',
  'ECDSA',
  'ED25519-SK',
  'ECDSA-SK',
  'ssh-ed25519-cert-v00@openssh.com',
  'ssh-xmss@openssh.com',
  'ssh-ed448',
  'ecdsa-sha2-nistp192',
  'ssh-ed25519\0',
  '',
];

const BLANKS = [' ', '\t', '  ', ' \t ', '\v', '\f', '\r', '\0', '\u00a0', '\u2028', '\u0085', '', '\u200b', '\ufeff'];

const OPTIONS = [
  'restrict',
  'no-pty',
  'No-X11-Forwarding',
  'verify-required',
  'VERIFY-REQUIRED',
  'from="10.0.0.0/8"',
  'from="10.0.0.1,!192.168.*.1"',
  'FROM="::1/128,fe80::/10"',
  'from="10.0.0.1/8"',
  'from="a\\"b"',
  'from=10.0.0.1',
  'from="',
  'from=""',
  'expiry-time="20300101"',
  'expiry-time="203001011200Z"',
  'expiry-time="20300230"',
  'command="a b,c \\" d"',
  'command="unterminated',
  'environment="A=B"',
  'pty',
  'no-touch-required',
  'no-verify-required',
  'cert-authority',
  'principals="a"',
  'permitopen="*:*"',
  '',
  '"',
  '\\"',
  '=',
  'host.example',
  '|1|abc=|def=',
  '1024',
  '12 35',
  '@cert-authority *',
  'ssh-ed25519',
  '#',
  '\u00fc',
  '--',
];

const COMMENTS = [
  'root@host',
  '',
  ' # not a comment',
  'a\tb',
  '"quoted',
  '\\',
  '\u001b[31mred',
  'nul\0after',
  'cr\rafter',
  '\u202eevil',
  '\u{1f511}',
  'ssh-rsa AAAA',
  'x'.repeat(3000),
  '-----BEGIN OPENSSH PRIVATE KEY-----',
  'a,b',
  '\u2028second',
];

/** One line, without a line feed: sound, broken in one way, or in several. */
export const hostileLine = (dice: Dice): string => {
  const [type = '', base64 = ''] = pick(dice, SAMPLES).split(' ');
  const blob = dice(3) === 0 ? base64 : brokenBase64(dice, brokenBlob(dice, Buffer.from(base64, 'base64')));
  const key = `${dice(12) === 0 ? pick(dice, TYPES) : type}${blank(dice)}${blob}`;
  const comment = dice(2) === 0 ? `${blank(dice)}${pick(dice, COMMENTS)}` : '';
  const options = dice(3) === 0 ? `${list(dice)}${blank(dice)}` : '';
  const lead = dice(8) === 0 ? pick(dice, BLANKS) : '';
  const line = `${lead}${options}${key}${comment}${dice(20) === 0 ? '\r' : ''}`;
  return dice(25) === 0 ? scratch(dice, line) : line;
};

const blank = (dice: Dice): string => (dice(8) === 0 ? pick(dice, BLANKS) : ' ');

const list = (dice: Dice): string =>
  Array.from({ length: 1 + dice(3) }, () => pick(dice, OPTIONS)).join(dice(10) === 0 ? ', ' : ',');

/** One character changed, doubled or lost, anywhere. */
const scratch = (dice: Dice, line: string): string => {
  const at = dice(line.length);
  const put = pick(dice, [...BLANKS, '"', '\\', ',', '=', '#', 'A', '-', line.charAt(at).repeat(2)]);
  return line.slice(0, at) + put.replaceAll('\n', '') + line.slice(at + 1);
};

const brokenBlob = (dice: Dice, blob: Buffer): Buffer => {
  const at = dice(3) === 0 ? dice(Math.min(40, blob.length)) : dice(blob.length);
  const copy = Buffer.from(blob);
  switch (dice(10)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << dice(8));
      return copy;
    case 1:
      copy[at] = dice(256);
      return copy;
    case 2:
      return copy.subarray(0, at);
    case 3:
      return Buffer.concat([copy, Buffer.alloc(1 + dice(8), dice(2))]);
    case 4:
      return Buffer.concat([copy.subarray(0, at), Buffer.of(dice(256)), copy.subarray(at)]);
    case 5:
      return rewrite(dice, fields(copy));
    case 6:
      return rewrite(dice, [Buffer.from(pick(dice, TYPES)), ...fields(copy).slice(1)]);
    case 7:
      return rewrite(dice, [
        fields(copy)[0] ?? copy,
        ...fields(Buffer.from(pick(dice, SAMPLES).split(' ')[1] ?? '', 'base64')).slice(1),
      ]);
    default:
      return copy;
  }
};

const fields = (blob: Buffer): Buffer[] => {
  const found: Buffer[] = [];
  for (let at = 0; at + 4 <= blob.length; ) {
    const end = at + 4 + blob.readUInt32BE(at);
    found.push(blob.subarray(at + 4, end));
    at = end;
  }
  return found;
};

/** The strings of a blob put together again, one of them changed in a way that OpenSSH may or may not forgive. */
const rewrite = (dice: Dice, parts: readonly Buffer[]): Buffer => {
  const changed = dice(parts.length);
  const strings = parts.flatMap((part, index) => (index === changed ? tampered(dice, part) : [part]));
  return Buffer.concat(
    strings.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
};

const tampered = (dice: Dice, part: Buffer): Buffer[] => {
  const zeros = Buffer.alloc(1 + dice(3));
  switch (dice(10)) {
    case 0:
      return [Buffer.concat([zeros, part])];
    case 1:
      return [Buffer.concat([part, zeros])];
    case 2:
      return [part.subarray(1)];
    case 3:
      return [Buffer.concat([Buffer.of(0x80), part])];
    case 4:
      return [];
    case 5:
      return [part, part];
    case 6:
      return [Buffer.from(part.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte)))];
    case 7:
      return [Buffer.alloc(pick(dice, [0, 1, 2047, 2048, 2049, 2050]), pick(dice, [0, 1, 0x7f]))];
    case 8:
      return [Buffer.of(pick(dice, [0, 1, 2, 3]))];
    default:
      return [part];
  }
};

const brokenBase64 = (dice: Dice, blob: Buffer): string => {
  const text = blob.toString('base64');
  const at = dice(text.length + 1);
  switch (dice(16)) {
    case 0:
      return text.replace(/=+$/, '');
    case 1:
      return `${text}${'='.repeat(1 + dice(3))}`;
    case 2:
      return text.replaceAll('+', '-').replaceAll('/', '_');
    case 3:
      return `${text.slice(0, at)}${pick(dice, BLANKS)}${text.slice(at)}`;
    case 4:
      return text.replace(
        /([A-Za-z0-9+/])(=+)$/,
        (_all, last: string, pad: string) => String.fromCharCode(last.charCodeAt(0) + 1) + pad,
      );
    case 5:
      return `${text.slice(0, at)}=${text.slice(at)}`;
    case 6:
      return `${text}A`;
    default:
      return text;
  }
};
