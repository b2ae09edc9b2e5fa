import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from './machine.ts';

/**
 * The shell commands that a page of docs/ shows, exactly as they are written there, so that a test runs what an operator types.
 *
 * @param has a text that is in this block of the page, and in no other
 * @throws where no block has it, or more than one
 */
export const documentedShell = (page: string, has: string): string => {
  const text = readFileSync(join(PROJECT, page), 'utf8');
  const blocks = [...text.matchAll(/^( *)```sh\n([\s\S]*?)^ *```$/gm)]
    .map(([, indent = '', block = '']) => block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
    .filter((block) => block.includes(has));
  const [block] = blocks;
  if (block === undefined || blocks.length > 1)
    throw new Error(`${blocks.length} blocks of ${page} have '${has}', not one`);
  return block;
};

/** The same with real values in the place of placeholders: `{ UID: '10000' }`. */
export const filledIn = (commands: string, words: Readonly<Record<string, string>>): string =>
  Object.entries(words).reduce((text, [word, value]) => {
    const stands = new RegExp(`(?<![\\w-])${word}(?![\\w-])`, 'g');
    if (!stands.test(text)) throw new Error(`'${word}' is not in: ${text}`);
    return text.replaceAll(stands, () => value);
  }, commands);
