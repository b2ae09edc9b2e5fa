import { expect, test } from 'vitest';
import { MAX_CONFIG_BYTES, readRepositoryConfig } from '../../src/borg/repository-config.ts';

const written = (...lines: string[]): string =>
  ['[repository]', 'version = 1', 'segments_per_dir = 1000', `id = ${'a'.repeat(64)}`, ...lines, ''].join('\n');

test.each([
  ['append_only = 1', true],
  ['append_only = 0', false],
  ['append_only: yes', true],
  ['Append_Only=on', true],
  ['append_only = true  ', true],
  ['# append_only = 1', false],
  ['append_only = no', false],
  ['', false],
])('a config with %j is append-only as Python reads it: %s', (line, expected) => {
  expect(readRepositoryConfig(written(line))?.appendOnly).toBe(expected);
});

// For whoever reads this in a hundred times the length, as a pattern that goes back and forth does, it is a quarter of a minute.
test('a config as large as one is read, full of blanks between two letters, costs no time', { timeout: 5000 }, () => {
  const blanks = ' '.repeat(MAX_CONFIG_BYTES);
  for (const line of [`append_only = a${blanks}b`, `a${blanks}b`, `a${blanks}= ${blanks}`])
    expect(readRepositoryConfig(written(line))?.appendOnly).toBe(false);
});
