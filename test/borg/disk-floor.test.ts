import { expect, test } from 'vitest';
import { compactionNeed, diskFloor, isTooFull, judgeSpace } from '../../src/borg/disk-floor.ts';

const GIGABYTE = 1e9;

test.each([
  ['a fiftieth of a large disk', 'auto', 1000 * GIGABYTE, 0.6 * GIGABYTE, 20 * GIGABYTE],
  ['what the largest compaction needs', 'auto', 20 * GIGABYTE, 0.6 * GIGABYTE, 0.6 * GIGABYTE],
  ['2 GB of that at most', 'auto', 20 * GIGABYTE, 9 * GIGABYTE, 2 * GIGABYTE],
  ['half of a small disk at most', 'auto', 0.1 * GIGABYTE, 0.6 * GIGABYTE, 0.05 * GIGABYTE],
  ['what was set, whatever the disk', 5 * GIGABYTE, 0.1 * GIGABYTE, 0, 5 * GIGABYTE],
] as const)('kept free is %s', (_, setting, total, need, floor) => {
  expect(diskFloor(setting, { total }, need)).toBe(floor);
});

test('a compaction needs as much as the repository holds, but at most a segment, and four times the index', () => {
  expect(compactionNeed({ bytes: 1000, objects: 0 })).toBe(1000);
  expect(compactionNeed({ bytes: 1e12, objects: 0 })).toBe(520 * 1024 * 1024);
  expect(compactionNeed({ bytes: null, objects: null })).toBe(520 * 1024 * 1024);
  expect(compactionNeed({ bytes: 1e12, objects: 1_000_000 })).toBeGreaterThan(800e6);
});

test('a disk near its floor is told before it reaches it; a file system that tells no size has no floor', () => {
  const total = 100 * GIGABYTE;
  expect(judgeSpace({ free: 1.9 * GIGABYTE, total }, 2 * GIGABYTE)).toBe('below');
  expect(judgeSpace({ free: 2 * GIGABYTE, total }, 2 * GIGABYTE)).toBe('near');
  expect(judgeSpace({ free: 4 * GIGABYTE, total }, 2 * GIGABYTE)).toBe('enough');
  expect(judgeSpace({ free: 0, total: 0 }, 2 * GIGABYTE)).toBe('enough');
  // Whatever MIN_FREE is, a compaction and a lock need their space.
  const small = 10e6;
  expect(judgeSpace({ free: 0.2 * GIGABYTE, total }, small, 0.5 * GIGABYTE)).toBe('short');
  expect(judgeSpace({ free: 0.6 * GIGABYTE, total }, small, 0.5 * GIGABYTE)).toBe('enough');
  expect(judgeSpace({ free: 3 * GIGABYTE, total, inodes: 9 }, small)).toBe('no-inodes');
  expect(judgeSpace({ free: 3 * GIGABYTE, total, inodes: null }, small)).toBe('enough');
  expect((['no-inodes', 'below', 'short', 'near', 'enough'] as const).filter(isTooFull)).toEqual([
    'no-inodes',
    'below',
    'short',
  ]);
});
