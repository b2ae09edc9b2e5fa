import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { NOT_OF_THE_IMAGE } from './not-of-the-image.ts';

const PROJECT = join(import.meta.dirname, '..');

/** The file, and what it imports of the tests themselves. */
const withHelpers = (file: string, seen = new Set<string>()): Set<string> => {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(join(PROJECT, file), 'utf8');
  for (const [, path = ''] of text.matchAll(/from '(\.[^']+)'/g)) {
    const found = join(dirname(file), path);
    if (found.startsWith('test/')) withHelpers(found, seen);
  }
  return seen;
};

it.each(NOT_OF_THE_IMAGE)('%s starts no program, so that no image changes what it says', (file) => {
  expect(existsSync(join(PROJECT, file))).toBe(true);
  for (const each of withHelpers(file))
    expect(readFileSync(join(PROJECT, each), 'utf8'), each).not.toMatch(/node:child_process|from 'execa'|node:net/);
});
