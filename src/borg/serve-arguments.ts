import { readQuota } from '../accounts/quota.ts';
import { failure } from '../failure.ts';
import { printable } from '../text/printable.ts';

export type ServeArguments = { readonly words: readonly string[] } | { readonly problems: readonly string[] };

type Option =
  | { readonly kind: 'flag' }
  /** `form` says what is wrong with the value, or nothing. */
  | { readonly kind: 'value'; readonly form: (value: string) => string | undefined }
  | { readonly kind: 'refused'; readonly reason: string };

const flag: Option = { kind: 'flag' };
const refused = (reason: string): Option => ({ kind: 'refused', reason });

const quota = (value: string): string | undefined => {
  const read = readQuota(value);
  return typeof read === 'string' ? read : undefined;
};

const seconds = (value: string): string | undefined =>
  /^\d{1,9}$/.test(value) ? undefined : 'needs a whole number of seconds';

const topic = (value: string): string | undefined =>
  /^[A-Za-z0-9_.]{1,100}$/.test(value) ? undefined : "needs the name of one of borg's loggers, for example repository";

const CLIENTS_SIDE = 'belongs to the client; borg serve does nothing with it';
const RESTRICTIONS = 'each account gets its own from the server, and another one would widen or break it';

/**
 * What `borg serve` knows in 1.2 and 1.4 (borg/archiver.py: define_common_options and the parser of serve), in full names. borg's
 * parser accepts every unambiguous beginning of an option; this one accepts none.
 */
const OPTIONS: Readonly<Record<string, Option>> = {
  '--storage-quota': { kind: 'value', form: quota },
  '--append-only': flag,
  '--lock-wait': { kind: 'value', form: seconds },
  '--progress': flag,
  '-p': flag,
  '--critical': flag,
  '--error': flag,
  '--warning': flag,
  '--info': flag,
  '--verbose': flag,
  '-v': flag,
  '--debug': flag,
  '--debug-topic': { kind: 'value', form: topic },
  '--log-json': flag,
  '--iec': flag,
  '--show-version': flag,
  '--show-rc': flag,
  '--restrict-to-path': refused(RESTRICTIONS),
  '--restrict-to-repository': refused(RESTRICTIONS),
  '--umask': refused('the server sets it: admins and the account share the files of a repository'),
  '--debug-profile': refused('it writes a file on the server'),
  '--bypass-lock': refused('borg serve does not allow it'),
  '--help': refused('it prints a text where the client expects a server'),
  '-h': refused('it prints a text where the client expects a server'),
  '--version': refused('it prints a text where the client expects a server; --show-version logs it'),
  '-V': refused('it prints a text where the client expects a server; --show-version logs it'),
  '--remote-path': refused(CLIENTS_SIDE),
  '--rsh': refused(CLIENTS_SIDE),
  '--remote-ratelimit': refused(CLIENTS_SIDE),
  '--remote-buffer': refused(CLIENTS_SIDE),
  '--upload-ratelimit': refused(CLIENTS_SIDE),
  '--upload-buffer': refused(CLIENTS_SIDE),
  '--consider-part-files': refused(CLIENTS_SIDE),
};

/**
 * Reads extra arguments for `borg serve` that an operator wrote into a variable, split the way a shell splits plain words (quotes
 * and backslashes, no expansions). Only options that narrow an account or set how borg reports are accepted. The resulting words
 * have only letters, digits and `-_.=`, and an option's value always follows its `=`.
 *
 * @param variable the variable's name, for the messages
 * @returns the checked words, or every problem: each names the variable and is printable
 */
export const parseServeArguments = (variable: string, text: string): ServeArguments => {
  const split = splitWords(text);
  if ('problem' in split) return { problems: [`${variable}: ${split.problem}`] };
  const words: string[] = [];
  const problems: string[] = [];
  const given = split.words;
  for (let index = 0; index < given.length; index++) {
    const word = given[index] ?? '';
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const name = equals < 0 ? word : word.slice(0, equals);
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (!option) problems.push(unknown(word));
    else if (option.kind === 'refused') {
      problems.push(`${name} is refused: ${option.reason}`);
      if (equals < 0 && !(given[index + 1] ?? '-').startsWith('-')) index++;
    } else if (option.kind === 'flag') {
      if (equals < 0) words.push(name);
      else problems.push(`${name} takes no value`);
    } else {
      const value = equals < 0 ? (given[++index] ?? '') : word.slice(equals + 1);
      const problem = option.form(value);
      if (problem) problems.push(`${name} ${problem}${value === '' ? '' : `, not '${printable(value, 80)}'`}`);
      else words.push(`${name}=${value}`);
    }
  }
  return problems.length > 0 ? { problems: problems.map((problem) => `${variable}: ${problem}`) } : { words };
};

const unknown = (word: string): string => {
  const shown = printable(word, 80);
  if (/^-.*\s/s.test(word)) return `'${shown}' is one word, by the quotes around it: write each word without them`;
  if (!word.startsWith('-')) return `'${shown}' is not an option`;
  const full = Object.keys(OPTIONS).filter(
    (name) => word.startsWith('--') && name.startsWith(word.split('=')[0] ?? word),
  );
  return full.length > 0
    ? `'${shown}' is an abbreviation: write ${full.join(' or ')} in full`
    : `'${shown}' is not an option of borg serve`;
};

const splitWords = (text: string): { readonly words: readonly string[] } | { readonly problem: string } => {
  // A line break would end the line of sshd's configuration and begin another.
  if (/[\p{Cc}\u2028\u2029]/u.test(text.trim())) return { problem: 'has a control character or a line break in it' };
  const words: string[] = [];
  const word = /(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/y;
  for (let rest = text.trim(); rest !== ''; rest = rest.slice(word.lastIndex).trimStart()) {
    word.lastIndex = 0;
    const match = word.exec(rest);
    if (!match || !/^(\s|$)/.test(rest.slice(word.lastIndex))) return { problem: 'has a quote that is not closed' };
    words.push(match[0].replace(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g, unquote));
  }
  return { words };
};

const unquote = (_: string, single?: string, double?: string, escaped?: string): string =>
  single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? '';

/**
 * Writes a word so that both a POSIX shell and the parser of sshd_config(5) read it as that one word.
 *
 * @throws Error with cause `{ code: 'not-quotable' }` on a control character, which no quotes make safe in sshd_config
 */
export const shellQuote = (word: string): string => {
  if (/\p{Cc}/u.test(word)) {
    throw failure('a word with a control character cannot be quoted', { code: 'not-quotable', found: printable(word) });
  }
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
};

/** Text for a person who pastes it into a shell, where whoever makes a folder has chosen its name. */
export const quoted = (path: string): string => shellQuote(printable(path));
