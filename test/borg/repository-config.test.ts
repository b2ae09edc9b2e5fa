import { expect, test } from 'vitest';
import { MAX_CONFIG_BYTES, readRepositoryConfig } from '../../src/borg/repository-config.ts';
import { costOf } from '../cost.ts';

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

test('a config full of blanks between two letters costs no more than one of letters', () => {
  const cost = (character: string): number => {
    const filling = character.repeat(MAX_CONFIG_BYTES);
    return costOf(() => {
      for (const line of [`append_only = a${filling}b`, `a${filling}b`, `a${filling}= ${filling}`])
        expect(readRepositoryConfig(written(line))?.appendOnly).toBe(false);
    });
  };
  cost('x');
  // A pattern that goes back and forth takes thousands of times as long.
  expect(cost(' ')).toBeLessThan(200 * Math.max(cost('x'), 1));
});
