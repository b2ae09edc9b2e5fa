import type { AuthorizedKey } from '../accounts/authorized-key.ts';
import { readExpiryTime } from '../accounts/expiry-time.ts';
import { errorAt, type Finding, warningAt } from '../accounts/finding.ts';
import { collectDirectives } from './directives.ts';
import type { KeyFile } from './key-file-content.ts';
import { hasHiddenRest, type KeyLine, type LinePlace, parseKeyLine } from './key-line.ts';
import { slipOfLine } from './line-slip.ts';
import { findIdleOptions } from './option-effect.ts';
import { gatherOtherFile } from './other-file.ts';
import { gatherOtherForms } from './other-form.ts';

/** A file that is no key file at all must not hide the other findings. */
const MOST_LINE_FINDINGS = 20;
const BYTE_ORDER_MARK = '\u{feff}';

/**
 * Reads the bytes of one key file. One wrong line takes nothing from the others, except that a private key closes the whole file.
 *
 * @param file the path as an operator sees it, printable
 */
export const parseKeyFile = (bytes: Uint8Array, file: string): KeyFile => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const parsed = gatherOtherFile(text, parseKeyLines(text.split('\n'), file), file);
  if (parsed.keys.length > 0 || !looksLikeUtf16(bytes)) return parsed;
  const remedy = 'save it again as UTF-8 or plain text';
  return {
    keys: [],
    findings: [errorAt(file, 'malformed-key', 'the file is UTF-16', remedy), noValidKey(file)],
  };
};

/** The same for lines that are already split. The first has number 1. */
export const parseKeyLines = (lines: readonly string[], file: string): KeyFile => {
  const keys = new Map<string, AuthorizedKey>();
  const findings = collectFindings(file);
  const directives = collectDirectives();
  const alone = lines.map((raw, index) => {
    const place = { file, line: index + 1 };
    return index === 0 && raw.startsWith(BYTE_ORDER_MARK) ? parseMarkedLine(raw, place) : parseKeyLine(raw, place);
  });
  for (const [index, read] of gatherOtherForms(lines, alone, file).entries()) {
    const place = { file, line: index + 1 };
    const raw = lines[index] ?? '';
    if (read.kind === 'private-key') return privateKey(place, raw);
    if (read.kind === 'key') {
      const first = keys.get(read.key.blob);
      if (first) findings.add(duplicate(first, read.key));
      else {
        keys.set(read.key.blob, read.key);
        for (const idle of findIdleOptions(read.key)) findings.add(idle);
      }
    }
    const isMarked = index === 0 && raw.startsWith(BYTE_ORDER_MARK);
    const slip = isMarked || read !== alone[index] ? null : slipOfLine(raw, read, place);
    if (slip) findings.add(slip);
    else if (read.kind === 'finding') findings.add(read.finding);
    if (read.kind === 'directive') {
      const wrong = directives.take(read, place);
      if (wrong) findings.add(wrong);
    }
    // A byte order mark hides what this line says.
    if (read.kind === 'finding' && isMarked) directives.doubt();
    if (hasHiddenRest(raw)) findings.add(hiddenRest(place));
  }
  if (keys.size === 0) return { keys: [], findings: [...findings.all(), noValidKey(file)] };
  return { keys: [...keys.values()], findings: findings.all(), ...directives.all() };
};

/** Keeps the first findings of a file and counts the rest. */
const collectFindings = (file: string) => {
  const first: Finding[] = [];
  let rest = 0;
  let worst: Finding | null = null;
  return {
    add: (finding: Finding): void => {
      if (first.length < MOST_LINE_FINDINGS) first.push(finding);
      else {
        rest += 1;
        if (worst?.severity !== 'error') worst = finding;
      }
    },
    all: (): Finding[] => {
      if (worst === null) return first;
      const remedy = 'cure the ones above first; if this is no key file, remove it';
      return [...first, { ...worst, file, line: null, message: `${rest} more lines are not right`, remedy }];
    },
  };
};

/** ssh reads a byte order mark as a part of the first word, so a key after it is no key. A comment after it is still a comment. */
const parseMarkedLine = (raw: string, place: LinePlace): KeyLine => {
  const read = parseKeyLine(raw.slice(BYTE_ORDER_MARK.length), place);
  return read.kind === 'blank' || read.kind === 'private-key'
    ? read
    : {
        kind: 'finding',
        finding: errorAt(
          place,
          'malformed-key',
          'the file begins with a byte order mark, which ssh takes for a part of this line',
          'save the file as UTF-8 without a byte order mark (BOM)',
        ),
      };
};

/** The keys of a list that sshd no longer accepts at `now`. They stay in the list: sshd itself refuses them. */
export const findExpiredKeys = (keys: readonly AuthorizedKey[], now: Date): Finding[] =>
  keys.flatMap(({ options, fingerprint, file, line }) => {
    const expiry = options.expiryTime === undefined ? null : readExpiryTime(options.expiryTime);
    if (!expiry || expiry.getTime() > now.getTime()) return [];
    const message = `the key ${fingerprint} expired at ${options.expiryTime}`;
    return [warningAt({ file, line }, 'expired-key', message, 'remove it, or give it a new expiry-time')];
  });

/** Text from Windows: a byte order mark at its beginning, or about every second byte is NUL. */
const looksLikeUtf16 = (bytes: Uint8Array): boolean => {
  const mark = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  const sample = bytes.subarray(0, 512);
  return mark === 0xfffe || mark === 0xfeff || sample.filter((byte) => byte === 0).length * 3 > sample.length;
};

const noValidKey = (file: string): Finding =>
  errorAt(
    file,
    'no-valid-key',
    'there is no valid key in it, so it opens no account',
    'put a public key in it, or remove it',
  );

const PUTTY = /^[ \t]*PuTTY-User-Key-File-/;

const privateKey = (place: LinePlace, raw: string): KeyFile => ({
  keys: [],
  findings: [
    errorAt(
      place,
      'private-key',
      'this is a PRIVATE key; the whole file is ignored',
      `remove it from here at once and make a new pair, since others may have read it; ${
        PUTTY.test(raw)
          ? "of PuTTY's .ppk only what puttygen -L FILE.ppk prints belongs here"
          : 'only the .pub file belongs here'
      }`,
    ),
    noValidKey(place.file),
  ],
});

const duplicate = (first: AuthorizedKey, again: AuthorizedKey): Finding =>
  warningAt(
    again,
    'duplicate-key',
    `the key ${again.fingerprint} is already in line ${first.line}; only that line counts, with its options`,
    'remove one of the two lines',
  );

const hiddenRest = (place: LinePlace): Finding =>
  warningAt(
    place,
    'malformed-key',
    'a carriage return or NUL is inside the line; what follows it is not read as a key',
    'save the file with Unix line ends, one key a line',
  );
