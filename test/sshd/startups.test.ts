import { expect, test } from 'vitest';
import { startupsFor } from '../../src/sshd/startups.ts';

test.each([
  ['a container of 900 MB', 900e6, 225, 112],
  ['a machine of 4 GB serves 500 clients of one address in one instant', 4e9, 1000, 500],
  ['a large machine', 64e9, 2000, 1000],
  ['a tiny one', 100e6, 50, 25],
])('%s', (_, memory, most, perSource) => expect(startupsFor('auto', memory)).toEqual({ most, perSource }));

test('a number counts whatever the memory is, and one address may have half of it, but at least one place', () => {
  expect(startupsFor(300, 100e6)).toEqual({ most: 300, perSource: 150 });
  expect(startupsFor(1, 64e9)).toEqual({ most: 1, perSource: 1 });
});
