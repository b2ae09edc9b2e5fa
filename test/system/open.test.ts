import { execFileSync } from 'node:child_process';
import {
  constants,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { closing, openFile, openFolder, openFollowing, openIfThere, pathOfOpen } from '../../src/system/open.ts';
import { openBounded, readOwnFile } from '../../src/system/plain-file.ts';

let folder: string;
const place = (name: string) => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
  writeFileSync(place('file'), 'words');
  symlinkSync(place('file'), place('link'));
  mkdirSync(place('folder'));
  symlinkSync(place('folder'), place('linked-folder'));
  // A program that waits for its writer waits without end.
  execFileSync('mkfifo', [place('pipe')]);
});
afterEach(() => rmSync(folder, { recursive: true }));

test('a link is not followed, and a pipe not waited for', () => {
  expect(() => openFile(place('link'))).toThrow(expect.objectContaining({ code: 'ELOOP' }));
  expect(() => openFolder(place('linked-folder'))).toThrow(expect.objectContaining({ code: 'ENOTDIR' }));
  expect(closing(openFile(place('pipe')), (file) => fstatSync(file).isFIFO())).toBe(true);
  expect(closing(openFollowing(place('link')), (file) => readlinkSync(pathOfOpen(file)))).toBe(place('file'));
});

test('what is opened is closed, even if its use fails', () => {
  let file = -1;
  const use = (descriptor: number): never => {
    file = descriptor;
    throw new Error('in use');
  };
  expect(() => closing(openFile(place('file')), use)).toThrow('in use');
  expect(() => fstatSync(file)).toThrow(expect.objectContaining({ code: 'EBADF' }));
});

test('for a caller that asks whether something is there, it is no error that it is missing or something else', () => {
  for (const name of ['none', 'file/below', 'link']) expect(openIfThere(place(name), openFile)).toBeNull();
  for (const name of ['none', 'file', 'linked-folder']) expect(openIfThere(place(name), openFolder)).toBeNull();
  expect(() => openIfThere(place('folder'), (path) => openFile(path, constants.O_RDWR))).toThrow(
    expect.objectContaining({ code: 'EISDIR' }),
  );
});

test('only a plain file is read', () => {
  const read = (name: string) => openBounded(place(name), (part, { size }) => part(0, size).toString());
  expect(['file', 'link', 'folder', 'pipe', 'none'].map(read)).toEqual(['words', null, null, null, null]);
});

test('a file of the server’s own is read if it is there; a link in its place is an error, and anything else is told', () => {
  expect(readOwnFile(place('file'))).toEqual({ kind: 'file', text: 'words' });
  expect(readOwnFile(place('file'), 2)).toEqual({ kind: 'file', text: 'wo' });
  expect(readOwnFile(place('none'))).toEqual({ kind: 'none' });
  expect(['folder', 'pipe'].map((name) => readOwnFile(place(name)))).toEqual([{ kind: 'other' }, { kind: 'other' }]);
  expect(() => readOwnFile(place('link'))).toThrow(expect.objectContaining({ code: 'ELOOP' }));
});
