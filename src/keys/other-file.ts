import { errorAt } from '../accounts/finding.ts';
import { printable } from '../text/printable.ts';
import type { KeyFile } from './key-file-content.ts';

/** An error page is short. A file with more lines gets a finding for each line. */
const MOST_ERROR_CHARACTERS = 300;

/** What servers answer and shells print where there is no such file: the whole text, or the end of its only line. */
const SAID =
  /^(?:error:? ?)?(?:(?:http ?)?\d{3}[ :-]*)?(?:(?:page )?not found|\d{3} page not found|found|moved permanently|see other|bad request|unauthorized|forbidden|access denied|gone|too many requests|internal server error|bad gateway|service unavailable|gateway time-?out|null|undefined|none)[.!]?$/i;
const SHELL_SAID = /: (?:no such file or directory|permission denied|command not found|not found|is a directory)\.?$/i;

const FETCH = 'curl -f saves no error page, and of GitHub the address is https://github.com/USER.keys';

/** The first bytes of PDF, ZIP (also .docx), PNG and gzip. What is no UTF-8 has become U+FFFD. */
const BINARY = ['%PDF-', 'PK\u0003\u0004', '\ufffdPNG', '\u001f\ufffd'];

type Kind = { readonly what: string; readonly remedy: string };

const kind = (what: string, remedy = `put the line of the .pub file here instead; ${FETCH}`): Kind => ({
  what,
  remedy,
});

/**
 * Recognises a file that is something else altogether: a web page, JSON, an error message that was saved in the place of a key.
 *
 * @returns null for what may be a key file, however many mistakes there are in it
 */
const kindOf = (text: string): Kind | null => {
  const start = text
    .slice(0, 1000)
    .replace(/^\u{feff}/u, '')
    .trimStart();
  if (/^<(?!<)/.test(start))
    return kind(/^<(?:!doctype html|html|head|body|!--)/i.test(start) ? 'a web page' : 'a web page or XML');
  if (/^HTTP\/\d[\d.]* \d{3}\b/.test(start)) return kind('an answer of a web server, with its head');
  if (start.startsWith('{\\rtf')) return kind('a document of a word processor', 'save it as plain text');
  if (/^(?:\{\s*["}]|\[\s*["{[\]])/.test(start)) return kind('JSON');
  if (BINARY.some((beginning) => start.startsWith(beginning)))
    return kind('a document, a picture or an archive', 'put the line of the .pub file here instead');
  const whole = text.length > MOST_ERROR_CHARACTERS ? '' : text.trim();
  const isError = SAID.test(whole) || (!whole.includes('\n') && SHELL_SAID.test(whole));
  return isError ? kind(`an error message ('${printable(whole, 80)}')`) : null;
};

/**
 * Replaces all findings about the lines of such a file by one finding. Lines that are keys by themselves stay keys, and a private key
 * in it stays a private key.
 */
export const gatherOtherFile = (text: string, read: KeyFile, file: string): KeyFile => {
  const other =
    read.findings.length === 0 || read.findings.some(({ code }) => code === 'private-key') ? null : kindOf(text);
  if (!other) return read;
  const keyLines = new Set(read.keys.map(({ line }) => line));
  const counts = read.keys.length === 0 ? '' : '; only the lines that are keys by themselves count';
  const finding = errorAt(file, 'not-a-key-file', `this is ${other.what}, not a public key${counts}`, other.remedy);
  return { ...read, findings: [finding, ...read.findings.filter(({ line }) => line !== null && keyLines.has(line))] };
};
