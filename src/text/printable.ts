/** ASCII without control characters and the backslash: nearly every text. */
const PLAIN = /^[ -[\]-~]*$/;

/**
 * Makes hostile text fit for one line of a log or a terminal: everything that is not a letter, mark, number, punctuation,
 * symbol or plain space (so: control characters, escapes, line and paragraph separators, bidi overrides, lone surrogates)
 * becomes `\u{…}`, a backslash becomes `\\`, and the whole is cut to `limit` characters with an ellipsis.
 */
export const printable = (text: string, limit = 200): string => {
  if (text.length <= limit && PLAIN.test(text)) return text;
  let out = '';
  let count = 0;
  for (const char of text) {
    if (count++ >= limit) return `${out}…`;
    if (char === '\\') out += '\\\\';
    else if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(char)) out += char;
    else out += `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
  }
  return out;
};
