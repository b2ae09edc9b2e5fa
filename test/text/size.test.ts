import { expect, test } from 'vitest';
import { gigabytes, readSize, renderBytes, sizeText } from '../../src/text/size.ts';

test('a size is read as borg reads it, in powers of 1000', () => {
  expect(['1', '10M', '1.5T', '0.0005K', '2P'].map(readSize)).toEqual([1, 10e6, 1.5e12, 1, 2e15]);
  expect(['', '1m', '1 M', '1MB', '-1M', '1e3', '.5G'].map(readSize)).toEqual(Array.from({ length: 7 }, () => null));
});

test('a size is told in the largest unit that tells all of it', () => {
  expect([0, 999, 50e9, 1.5e12, 12_345_678].map(sizeText)).toEqual(['0', '999', '50G', '1.5T', '12345.678K']);
});

test('for a person one decimal is enough', () => {
  expect([null, 0, 999, 1000, 1_234_567, 5e18].map(renderBytes)).toEqual([
    '?',
    '0 B',
    '999 B',
    '1.0 kB',
    '1.2 MB',
    '5000.0 PB',
  ]);
  expect([42e6, 999_999_999, 12_340_000_000].map(gigabytes)).toEqual(['0.042', '1.000', '12.3']);
});
