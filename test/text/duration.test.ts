import { expect, test } from 'vitest';
import { readDuration } from '../../src/text/duration.ts';

test('a duration is a number and a unit, or never', () => {
  expect(['90min', '26h', '3d', '1w', 'never'].map(readDuration)).toEqual([5400, 93_600, 259_200, 604_800, Infinity]);
});

test.each(['', '26', 'h', '0h', '-1h', '1.5h', '26 h', '26H', '1y', '99999999d', 'Never'])('%j is refused', (text) => {
  expect(readDuration(text)).toContain('for example 26h');
});
