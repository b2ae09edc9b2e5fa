import { expect, test } from 'vitest';
import { isReadOnly } from '../../src/host/read-only.ts';

const line = (point: string, options: string, own: string) =>
  `43 27 7:2 / ${point} ${options} shared:1 - ext4 /dev/a ${own}`;
const ROOT = line('/', 'rw,relatime', 'rw');
const of = (...lines: readonly string[]) => isReadOnly('/repos', [ROOT, ...lines].join('\n'));

test('a file system is read-only as it was mounted, after an error, or shut down; by the mount that is seen', () => {
  expect(of(line('/repos', 'rw', 'rw,errors=remount-ro'))).toBe(false);
  expect(of(line('/repos', 'rw', 'ro,errors=remount-ro'))).toBe(true);
  expect(of(line('/repos', 'rw', 'rw,errors=remount-ro,emergency_ro'))).toBe(true);
  expect(of(line('/repos', 'rw', 'rw,shutdown'))).toBe(true);
  expect(of(line('/repos', 'ro,nosuid', 'rw'))).toBe(true);
  expect(of(line('/repos', 'ro', 'rw'), line('/repos', 'rw', 'rw'))).toBe(false);
  expect(of(line('/repos/web01', 'ro', 'ro'), line('/repository', 'ro', 'ro'))).toBe(false);
  expect(isReadOnly('/repos', line('/', 'rw', 'ro'))).toBe(true);
  expect(isReadOnly('/my repos/x', line('/my\\040repos', 'ro', 'rw'))).toBe(true);
  expect(isReadOnly('/repos', '')).toBe(false);
});
