import { expect, test } from 'vitest';
import { firstOf, plural } from '../../src/text/list.ts';

test('one thing is told in the singular, and none in the plural', () => {
  expect([0, 1, 2].map((count) => plural(count, 'key'))).toEqual(['0 keys', '1 key', '2 keys']);
  expect([1, 3].map((count) => plural(count, 'repository', 'repositories'))).toEqual([
    '1 repository',
    '3 repositories',
  ]);
});

test('of a long list the first are told, and that there are more', () => {
  expect(firstOf(['a', 'b'], 2)).toBe('a, b');
  expect(firstOf(['a', 'b', 'c'], 2)).toBe('a, b, …');
  expect(firstOf(['a', 'b'], 2, 7)).toBe('a, b, …');
  expect(firstOf([], 2)).toBe('');
});
