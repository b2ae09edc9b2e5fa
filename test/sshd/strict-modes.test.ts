import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStrictModes } from '../../src/sshd/strict-modes.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync('/run/borgserver-test-');
  mkdirSync(join(folder, 'run/authorized_keys'), { recursive: true, mode: 0o755 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const unsafe = (path: string) =>
  expect.objectContaining({ cause: expect.objectContaining({ code: 'unsafe-folder', path }) });

test('a folder of root below folders of root is trusted', () => {
  checkStrictModes(join(folder, 'run/authorized_keys'));
});

test.each([0o775, 0o757, 0o1777])('a folder above that others may write is named (%o)', (mode) => {
  chmodSync(folder, mode);
  expect(() => checkStrictModes(join(folder, 'run/authorized_keys'))).toThrow(unsafe(folder));
});

test('a folder above that is not root’s is named, too, and the sticky bit makes nothing better', () => {
  chownSync(join(folder, 'run'), 12_345, 0);
  expect(() => checkStrictModes(join(folder, 'run/authorized_keys'))).toThrow(unsafe(join(folder, 'run')));
  expect(() => checkStrictModes(tmpdir())).toThrow(unsafe(tmpdir()));
});
