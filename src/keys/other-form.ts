import { errorAt, type Finding } from '../accounts/finding.ts';
import { plural } from '../text/list.ts';
import { type KeyLine, type LinePlace, parseKeyLine, visiblePart } from './key-line.ts';
import { blobType, isKeyType } from './wire-format.ts';

/** Lines that together are one public key, or another thing, in a form that sshd does not read. */
type Form = { readonly last: number; readonly form: string; readonly remedy: string };

/** The longest key that is looked for across several lines: an RSA key of 16,384 bits has some 3,000 characters. */
const MOST_CHARACTERS = 16_384;
const MOST_LINES = 100;

const BEGIN = /^-{3,5} ?BEGIN (?<what>[A-Z0-9 ]{1,60}?) ?-{3,5}$/;
const END = /^-{3,5} ?END [A-Z0-9 ]{1,60}?-{3,5}$/;
const BASE64 = /^[A-Za-z0-9+/]+=*$/;
/** `Comment: "me@laptop"`, of RFC 4716, 3.3. */
const HEADER = /^[A-Za-z0-9-]{1,64}:(?:[ \t]|$)/;
/** The first bytes of the DER form of an Ed25519 key (RFC 8410, 4), which ssh-keygen does not read. */
const ED25519_SPKI = /^MCowBQYDK2VwAyEA/;

/**
 * Replaces many findings by one: where several lines are one key in another form, the finding of the first line says which form
 * it is and how to convert it. A line that is a key by itself stays a key, wherever it is.
 *
 * @param reads what each line says by itself
 */
export const gatherOtherForms = (
  lines: readonly string[],
  reads: readonly KeyLine[],
  file: string,
): readonly KeyLine[] => {
  if (!reads.some(({ kind }) => kind === 'finding')) return reads;
  const gathered = [...reads];
  for (let at = 0; at < reads.length; at += 1) {
    if (reads[at]?.kind !== 'finding') continue;
    const place = { file, line: at + 1 };
    const found = blockAt(lines, reads, at, file) ?? wrappedAt(lines, reads, at, place) ?? withoutType(lines, at);
    if (!found) continue;
    gathered[at] = { kind: 'finding', finding: otherForm(place, found) };
    for (let rest = at + 1; rest <= found.last; rest += 1)
      if (reads[rest]?.kind === 'finding') gathered[rest] = { kind: 'blank' };
    at = found.last;
  }
  return countAlike(gathered);
};

const otherForm = (place: LinePlace, { form, remedy, last }: Form): Finding => {
  const until = last + 1 > place.line ? `, up to line ${last + 1}` : '';
  return errorAt(place, 'other-form', `${form}${until}; sshd does not read it`, remedy);
};

/** A whole known_hosts would give one finding for each of its lines. */
const countAlike = (reads: readonly KeyLine[]): readonly KeyLine[] => {
  const first = new Map<string, { readonly at: number; more: number }>();
  const left = reads.map((read, at): KeyLine => {
    if (read.kind !== 'finding' || read.finding.code !== 'other-form') return read;
    const known = first.get(read.finding.message);
    if (known) known.more += 1;
    else first.set(read.finding.message, { at, more: 0 });
    return known ? { kind: 'blank' } : read;
  });
  for (const { at, more } of first.values()) {
    const read = left[at];
    if (more === 0 || read?.kind !== 'finding') continue;
    const { finding } = read;
    const message = `${finding.message} (and ${plural(more, 'more line')} like it)`;
    left[at] = { kind: 'finding', finding: { ...finding, message } };
  }
  return left;
};

const textOf = (line: string | undefined): string => visiblePart(line ?? '').trim();

/** The text between BEGIN and END, as ssh-keygen -e, PuTTYgen and openssl write it. */
const blockAt = (lines: readonly string[], reads: readonly KeyLine[], at: number, file: string): Form | null => {
  const what = BEGIN.exec(textOf(lines[at]))?.groups?.what;
  if (what === undefined) return null;
  let last = at;
  let first = '';
  for (let next = at + 1; next < lines.length && next <= at + MOST_LINES; next += 1) {
    const text = textOf(lines[next]);
    const goesOn = textOf(lines[next - 1]).endsWith('\\');
    if (reads[next]?.kind !== 'finding' || !(goesOn || BASE64.test(text) || HEADER.test(text) || END.test(text))) break;
    if (first === '' && BASE64.test(text)) first = text;
    last = next;
    if (END.test(text)) break;
  }
  return { last, ...formOf(what, first, file) };
};

const formOf = (what: string, first: string, file: string): Omit<Form, 'last'> => {
  const convert = (flags: string): string =>
    `convert it with: ssh-keygen -i ${flags}-f ${file.startsWith('/') ? file : 'FILE'}  and put what that prints here instead`;
  switch (what) {
    case 'SSH2 PUBLIC KEY':
      return { form: 'a public key in the form of RFC 4716 (SSH2), as PuTTYgen saves it', remedy: convert('') };
    case 'PUBLIC KEY':
      return ED25519_SPKI.test(first)
        ? {
            form: 'an Ed25519 public key in PEM (PKCS#8), which ssh-keygen cannot convert',
            remedy: 'put the .pub file here that ssh-keygen -t ed25519 writes beside the private key',
          }
        : { form: 'a public key in PEM (PKCS#8)', remedy: convert('-m PKCS8 ') };
    case 'RSA PUBLIC KEY':
      return { form: 'a public key in PEM (PKCS#1)', remedy: convert('-m PEM ') };
    default:
      return {
        form: `a ${what}, which is no public key of ssh`,
        remedy: 'put the .pub file of an ssh key here instead',
      };
  }
};

/** A key that an editor or a terminal has cut into several lines. Whether the lines are one key is tried, not guessed. */
const wrappedAt = (lines: readonly string[], reads: readonly KeyLine[], at: number, place: LinePlace): Form | null => {
  let whole = textOf(lines[at]);
  const words = whole.slice(0, MOST_CHARACTERS).split(/[ \t]+/);
  if (!words.some(isKeyType)) return null;
  for (let next = at + 1; next <= at + MOST_LINES && whole.length <= MOST_CHARACTERS; next += 1) {
    const text = textOf(lines[next]);
    if (reads[next]?.kind !== 'finding' || !BASE64.test(text.split(/[ \t]/, 1)[0] ?? '')) return null;
    whole += next === at + 1 && isKeyType(words.at(-1) ?? '') ? ` ${text}` : text;
    if (parseKeyLine(whole, place).kind === 'key')
      return { last: next, form: 'a key that is cut into several lines', remedy: 'write it as one line' };
  }
  return null;
};

/** The middle of a .pub file's line, alone. */
const withoutType = (lines: readonly string[], at: number): Form | null => {
  const [word = ''] = textOf(lines[at]).split(/[ \t]/, 1);
  const type = word.length <= MOST_CHARACTERS && BASE64.test(word) ? blobType(word) : null;
  if (type === null || !isKeyType(type)) return null;
  return { last: at, form: 'a key without its type', remedy: `write the whole line of the .pub file: ${type} AAAA…` };
};
