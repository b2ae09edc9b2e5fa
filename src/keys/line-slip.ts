import { errorAt, type Finding } from '../accounts/finding.ts';
import { type KeyLine, type LinePlace, parseKeyLine } from './key-line.ts';
import { isKeyType } from './wire-format.ts';

/** A type and the beginning of its blob, anywhere in the line: where lines were joined without a line break, nothing separates two keys. */
const KEY = /(?:sk-ssh-|sk-ecdsa-|ssh-|ecdsa-)[a-z0-9@.-]{2,60}[ \t]+AAAA[A-Za-z0-9+/]{16}/g;
/** A backslash and a letter where a line break was meant: before a key, or right after a blob. */
const WRITTEN_BREAK = /(?:\\[nr]){1,2}(?:(?=[ \t]*(?:sk-|ssh-|ecdsa-))|(?<=[A-Za-z0-9+/]{40}={0,3}(?:\\[nr]){1,2}))/;
const QUOTE = /^["'“”‘’„«»`]/u;

/**
 * Names mistakes that look right: two keys on one line, `\n` for a line break, quotes around everything. What the line grants stays
 * as it is: the first key, as sshd reads it, or nothing.
 *
 * @param read what the line itself says
 * @returns a finding for the second key of a line, beside the line's own; or one that replaces the line's own; null where there is nothing to say
 */
export const slipOfLine = (raw: string, read: KeyLine, place: LinePlace): Finding | null => {
  if (read.kind !== 'key' && !(read.kind === 'finding' && NAMELESS.has(read.finding.code))) return null;
  // If one of these comes next, it has a finding of its own.
  const text = (raw.split(/[\r\0]/, 1)[0] ?? '').trim();
  const slip = (message: string, remedy: string): Finding => errorAt(place, 'malformed-key', message, remedy);
  const [quote] = QUOTE.exec(text) ?? [];
  if (read.kind !== 'key' && quote !== undefined && isKeyInQuotes(text, place))
    return slip(`a quotation mark is in front, as a part of the line: ${quote}`, NO_QUOTES);
  if (read.kind === 'finding' && read.finding.code !== 'malformed-key') return null;
  const [written] = WRITTEN_BREAK.exec(text) ?? [];
  const keys = [...text.matchAll(KEY)].filter(([words]) => isKeyType(words.split(/[ \t]/, 1)[0] ?? ''));
  if (keys.length > 1) {
    const between = written === undefined ? '' : `, with a written-out ${written} between them, which is no line break`;
    const counts = read.kind === 'key' ? 'only the first counts, and the rest is its comment' : 'none of them counts';
    return slip(`${keys.length} keys on one line${between}; ${counts}`, ONE_EACH);
  }
  if (read.kind === 'key' || written === undefined) return null;
  return slip(`a written-out ${written} is beside the key; it is no line break`, ONE_EACH);
};

/** Findings that may only mean that the line is no key: a quote begins what looks like an option. */
const NAMELESS: ReadonlySet<Finding['code']> = new Set(['malformed-key', 'forbidden-option', 'malformed-option']);

const ONE_EACH = 'write each key on a line of its own (between those of BORG_SSHKEYS a comma does, too)';
const NO_QUOTES =
  'remove the quotes; what takes no quotes away (docker run --env-file) hands them on as a part of the value';

/** Whether the quotes are all that keeps it from being a key. Those at the end may follow a comment, or be cut off with the next key. */
const isKeyInQuotes = (text: string, place: LinePlace): boolean => {
  const inside = text.replace(QUOTE, '');
  return [inside, inside.slice(0, -1)].some((each) => ['key', 'blank'].includes(parseKeyLine(each, place).kind));
};
