import { ENVIRONMENT } from '../accounts/declaration.ts';
import { parseKeyLines } from './key-file.ts';
import type { KeyFile } from './key-file-content.ts';
import { gatherOtherFile } from './other-file.ts';

/**
 * Reads the keys of BORG_SSHKEYS. They are separated by commas or line breaks. Empty entries are skipped, so a list may end with a comma. Before a
 * key a comma separates options, and inside their quotes it means nothing. The line of a finding is the number of the key in the list.
 */
export const parseEnvironmentKeys = (value: string, where: string = ENVIRONMENT): KeyFile =>
  gatherOtherFile(value, parseKeyLines(splitKeys(value), where), where);

const splitKeys = (value: string): string[] => {
  const entries: string[] = [];
  for (let at = 0; at < value.length; ) {
    const end = endOfEntry(value, at);
    const entry = value.slice(at, end).trim();
    if (entry !== '') entries.push(entry);
    at = end + 1;
  }
  return entries;
};

/** Where the entry that begins at `start` ends: at a comma after its key, or at a line break. */
const endOfEntry = (value: string, start: number): number => {
  const first = /^[ \t]*([^ \t,\r\n]*)/.exec(value.slice(start, start + 256))?.[1] ?? '';
  // A comment hides everything up to the end of its line: a key after a comma in it was commented out too.
  if (first.startsWith('#')) return next(value, start, /[\r\n]/g);
  if (first === '') return next(value, start, /[,\r\n]/g);
  let quoted = false;
  let last = '';
  let at = start + value.slice(start).search(/[^ \t]/);
  for (; at < value.length; at += 1) {
    const char = value.charAt(at);
    if (char === '\\' && value[at + 1] === '"') at += 1;
    else if (char === '"') quoted = !quoted;
    // Options that go on after a line break must not get lost, or the key would allow more than was meant. So the lines are
    // joined, and the whole is refused.
    else if ((char === '\r' || char === '\n') && last !== ',') return at;
    else if ((char === ' ' || char === '\t') && !quoted) return next(value, at, /[,\r\n]/g);
    if (!/\s/.test(char)) last = char;
  }
  return at;
};

const next = (value: string, from: number, pattern: RegExp): number => {
  pattern.lastIndex = from;
  return pattern.exec(value)?.index ?? value.length;
};
