import type { AuthorizedKey } from '../accounts/authorized-key.ts';
import { errorAt, type Finding, type FindingCode } from '../accounts/finding.ts';
import { printable } from '../text/printable.ts';
import { isHost, parseOptions } from './options.ts';
import { isKeyType, type KeyVerdict, readKeyWords } from './wire-format.ts';

/** What one line of a key file says. */
export type KeyLine =
  | { readonly kind: 'blank' }
  /** `# borgserver: word=value`, an instruction to the server. All three are as written, the mark in any case. They are hostile text. */
  | { readonly kind: 'directive'; readonly mark: string; readonly word: string; readonly value: string }
  | { readonly kind: 'key'; readonly key: AuthorizedKey }
  /** The line holds a secret, and so does the whole file. */
  | { readonly kind: 'private-key' }
  | { readonly kind: 'finding'; readonly finding: Finding };

/** Where a line is. */
export type LinePlace = { readonly file: string; readonly line: number };

const MOST_COMMENT = 200;
const PRIVATE_KEY =
  /-----BEGIN [A-Z0-9 ]*PRIVATE KEY|---- BEGIN SSH2 [A-Z ]*PRIVATE KEY|^PuTTY-User-Key-File-|^Private-(Lines|MAC|Hash):/;
const DIRECTIVE =
  /^#[ \t]*(?<mark>[Bb][Oo][Rr][Gg][Ss][Ee][Rr][Vv][Ee][Rr]):[ \t]*(?<word>[^ \t=]*)[ \t]*=?(?<value>.*)$/su;
const WORDS = /^([^ \t]+)[ \t]+([^ \t]+)(?:[ \t]+(.*))?$/su;

/**
 * Reads one line as `ssh-keygen -l -f` would. It ends at the first NUL and begins after blanks. It is a key, or options, exactly
 * one blank, and a key.
 *
 * @param raw the line without its line feed
 */
export const parseKeyLine = (raw: string, place: LinePlace): KeyLine => {
  const text = visiblePart(raw).replace(/^[ \t]+/, '');
  const secret = PRIVATE_KEY.test(raw);
  if (text === '' || text.startsWith('#')) {
    if (secret) return { kind: 'private-key' };
    const said = DIRECTIVE.exec(text)?.groups;
    return said
      ? { kind: 'directive', mark: said.mark ?? '', word: said.word ?? '', value: (said.value ?? '').trim() }
      : { kind: 'blank' };
  }
  const bare = readWords(text);
  if (bare.verdict.ok) return keyLine(bare, {}, place);
  if (bare.verdict.code === 'unknown-key-type') return refuseKey(place, bare.verdict);
  const result = withOptions(text, bare, place);
  // A comment may say anything: if a line is a public key, it is no private key.
  const unknown = result.kind === 'finding' && result.finding.code === 'malformed-key';
  return secret && unknown ? { kind: 'private-key' } : result;
};

/**
 * The part of a line that counts. It ends at the first NUL, and CRs at its end belong to the line end. No regular expression for the CRs: on a
 * line of nothing but CRs it would take quadratic time.
 */
export const visiblePart = (raw: string): string => {
  const nul = raw.indexOf('\0');
  let end = nul === -1 ? raw.length : nul;
  while (raw[end - 1] === '\r') end -= 1;
  return raw.slice(0, end);
};

/** Whether text comes after a NUL, or after a CR that does not end the line. It is never read as a key of its own. */
export const hasHiddenRest = (raw: string): boolean => {
  const start = raw.search(/[\r\0]/);
  return start !== -1 && /[^\r\0 \t]/.test(raw.slice(start));
};

type Words = { readonly type: string; readonly comment: string; readonly verdict: KeyVerdict };

const NO_KEY: KeyVerdict = { ok: false, code: 'malformed-key', found: 'no public key' };

const readWords = (text: string): Words => {
  const match = WORDS.exec(text);
  if (!match) return { type: text, comment: '', verdict: NO_KEY };
  const [, type = '', base64 = '', comment = ''] = match;
  return { type, comment, verdict: readKeyWords(type, base64) };
};

const withOptions = (text: string, bare: Words, place: LinePlace): KeyLine => {
  const { end, quoted } = endOfOptions(text);
  if (quoted) return refuse(place, 'malformed-option', 'a double quote that is never closed', 'close it, or remove it');
  const rest = text.slice(end + 1);
  const words = readWords(rest);
  if (!words.verdict.ok) {
    if (
      /^@[a-z-]+[ \t]+[^ \t]+[ \t]/.test(text) &&
      readWords(text.replace(/^[^ \t]+[ \t]+[^ \t]+[ \t]+/, '')).verdict.ok
    )
      return knownHost(place);
    if (isKeyType(bare.type) && words.verdict.code === 'malformed-key') return refuseKey(place, bare.verdict);
    if (isKeyType(words.type) || words.verdict.code === 'unknown-key-type') return refuseKey(place, words.verdict);
    const later = readWords(rest.replace(/^[ \t]+/, ''));
    return later.verdict.ok
      ? refuse(place, 'malformed-key', 'several blanks between the options and the key', 'write exactly one')
      : refuseKey(place, NO_KEY);
  }
  const before = text.slice(0, end);
  const options = parseOptions(before);
  if (options.ok) return keyLine(words, options.options, place);
  return isHost(before) ? knownHost(place) : refuse(place, options.code, options.found, options.remedy);
};

/** A line of sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. The host is not shown: it may be any text. */
const knownHost = (place: LinePlace): KeyLine =>
  refuse(
    place,
    'other-form',
    'a host is before the key, as in known_hosts; sshd takes it for an option that it does not know',
    "known_hosts has the servers' keys: put the client's own .pub file here; if it is the client's key, remove the host",
  );

/** Where the first blank outside quotes is (sshkey_advance_past_options), and whether a quote was left open. */
const endOfOptions = (text: string): { readonly end: number; readonly quoted: boolean } => {
  let quoted = false;
  let at = 0;
  for (; at < text.length && (quoted || !/[ \t]/.test(text.charAt(at))); at += 1) {
    if (text[at] === '\\' && text[at + 1] === '"') at += 1;
    else if (text[at] === '"') quoted = !quoted;
  }
  return { end: at, quoted };
};

const keyLine = ({ verdict, comment }: Words, options: AuthorizedKey['options'], place: LinePlace): KeyLine =>
  verdict.ok
    ? { kind: 'key', key: { ...verdict.key, comment: storedComment(comment), options, ...place } }
    : refuseKey(place, verdict);

/** Every character of it is safe in a line of authorized_keys, a log and a terminal. */
const storedComment = (text: string): string => {
  const line = printable(text.trim(), MOST_COMMENT);
  if (line.length <= MOST_COMMENT) return line;
  const shown = [...line];
  return (shown.length > MOST_COMMENT ? `${shown.slice(0, MOST_COMMENT - 1).join('')}…` : shown.join('')).trim();
};

const REMEDIES: Readonly<Record<Extract<KeyVerdict, { ok: false }>['code'], string>> = {
  'malformed-key': 'copy the whole line of the .pub file again, as one line',
  'unknown-key-type': 'use a key that it knows, made with: ssh-keygen -t ed25519',
  'weak-key': 'make a new key with: ssh-keygen -t ed25519',
  'dsa-key': 'make a new key with: ssh-keygen -t ed25519',
  certificate: 'put the plain public key here; certificates are not supported',
};

const refuseKey = (place: LinePlace, verdict: KeyVerdict): KeyLine =>
  verdict.ok ? { kind: 'blank' } : refuse(place, verdict.code, verdict.found, REMEDIES[verdict.code]);

const refuse = (place: LinePlace, code: FindingCode, message: string, remedy: string): KeyLine => ({
  kind: 'finding',
  finding: errorAt(place, code, message, remedy),
});
