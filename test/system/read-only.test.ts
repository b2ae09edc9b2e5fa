import { expect, test } from 'vitest';
import { parseMountinfo } from '../../src/system/mounts.ts';
import { isReadOnly } from '../../src/system/read-only.ts';

const line = (point: string, options: string, own: string) =>
  `43 27 7:2 / ${point} ${options} shared:1 - ext4 /dev/a ${own}`;
const ROOT = line('/', 'rw,relatime', 'rw');
const at = (path: string, ...lines: readonly string[]) => isReadOnly(path, parseMountinfo(lines.join('\n')));
const of = (...lines: readonly string[]) => at('/repos', ROOT, ...lines);

test('a file system is read-only if it was mounted so, after an error, or if it is shut down; the uppermost mount counts', () => {
  expect(of(line('/repos', 'rw', 'rw,errors=remount-ro'))).toBe(false);
  expect(of(line('/repos', 'rw', 'ro,errors=remount-ro'))).toBe(true);
  expect(of(line('/repos', 'rw', 'rw,errors=remount-ro,emergency_ro'))).toBe(true);
  expect(of(line('/repos', 'rw', 'rw,shutdown'))).toBe(true);
  expect(of(line('/repos', 'ro,nosuid', 'rw'))).toBe(true);
  expect(of(line('/repos', 'ro', 'rw'), line('/repos', 'rw', 'rw'))).toBe(false);
  expect(of(line('/repos/web01', 'ro', 'ro'), line('/repository', 'ro', 'ro'))).toBe(false);
  expect(at('/repos', line('/', 'rw', 'ro'))).toBe(true);
  expect(at('/my repos/x', line('/my\\040repos', 'ro', 'rw'))).toBe(true);
  expect(at('/repos', '')).toBe(false);
});
