import { printable } from '../text/printable.ts';

export type SshdWords =
  | { readonly overrides: Readonly<Record<string, string>> }
  | { readonly problems: readonly string[] };

/**
 * Reads the words after `sshd` (sshd(8)). -D and -e are what the server does anyway. -p and -o LogLevel set the settings SSH_PORT
 * and SSH_LOG_LEVEL, which check their values. Everything else is refused by its name.
 */
export const readSshdWords = (words: readonly string[]): SshdWords => {
  const overrides: Record<string, string> = {};
  const problems: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (!/^-[^-]/.test(word)) {
      problems.push(`'${printable(word)}' is no argument of sshd`);
      continue;
    }
    const letters = [...word.slice(1)];
    for (const [index, letter] of letters.entries()) {
      if (letter === 'D' || letter === 'e') continue;
      if (letter !== 'p' && letter !== 'o') {
        problems.push(
          `-${printable(letter)} is not taken here: only -D, -e, -p PORT and -o LogLevel=LEVEL mean something`,
        );
        break;
      }
      const attached = letters.slice(index + 1).join('');
      if (!attached) at += 1;
      const value = attached || words[at];
      if (value === undefined) problems.push(`-${letter} needs a value`);
      else if (letter === 'p') overrides.SSH_PORT = value;
      else readOption(value, overrides, problems);
      break;
    }
  }
  return problems.length > 0 ? { problems } : { overrides };
};

const readOption = (text: string, overrides: Record<string, string>, problems: string[]): void => {
  const [, keyword = '', value = ''] = /^\s*([^\s=]+)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(text) ?? [];
  if (keyword.toLowerCase() === 'loglevel' && value) overrides.SSH_LOG_LEVEL = value.toUpperCase();
  else problems.push(`-o ${printable(keyword || text)} is not taken here: of sshd's options only LogLevel=LEVEL`);
};
