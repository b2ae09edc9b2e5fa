/** Splits at commas outside double quotes; `\"` neither opens nor closes a quote. */
export const splitOutsideQuotes = (text: string): string[] => {
  const words: string[] = [];
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\\' && text[at + 1] === '"') at += 1;
    else if (char === '"') quoted = !quoted;
    else if (char === ',' && !quoted) {
      words.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return [...words, text.slice(start)];
};

/** An option's name as written, and what follows its first `=`, or null if there is none. */
export const nameAndValue = (word: string): [string, string | null] => {
  const equals = word.indexOf('=');
  return equals === -1 ? [word, null] : [word.slice(0, equals), word.slice(equals + 1)];
};

/** The inside of a quoted value, or null if the quotes are not exactly its first and last character. */
export const unquote = (value: string): string | null => {
  const match = /^"((?:[^"\\]|\\"|\\(?!"))*)"$/.exec(value);
  return match?.[1] === undefined ? null : match[1].replaceAll('\\"', '"');
};
