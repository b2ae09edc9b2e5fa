import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findProgram, isProgram, searchFolders } from '../../src/system/path.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
  for (const name of ['first', 'second', 'third']) mkdirSync(join(folder, name));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a search path never means the working directory', () => {
  expect(searchFolders('/usr/bin:bin::./x:/bin:')).toEqual(['/usr/bin', '/bin']);
  expect(searchFolders('')).toEqual([]);
});

test('the program is the first file that may be executed: not a folder of its name, nor a file that can only be read', () => {
  const in_ = (name: string) => join(folder, name, 'borg');
  const find = () =>
    findProgram(
      'borg',
      ['first', 'second', 'third'].map((name) => join(folder, name)),
    );
  mkdirSync(in_('first'));
  writeFileSync(in_('second'), '#!/bin/sh\n', { mode: 0o644 });
  expect(find()).toBeNull();
  writeFileSync(in_('third'), '#!/bin/sh\n');
  chmodSync(in_('third'), 0o755);
  expect(find()).toBe(in_('third'));
  chmodSync(in_('second'), 0o755);
  expect(find()).toBe(in_('second'));
  expect([in_('first'), in_('second'), in_('fourth')].filter(isProgram)).toEqual([in_('second')]);
});
