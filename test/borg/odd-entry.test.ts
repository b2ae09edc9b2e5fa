import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findOddEntry } from '../../src/borg/odd-entry.ts';
import { surveyRepositories } from '../../src/survey/repository-survey.ts';

let root: string;
let web: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'odd-entry-'));
  web = join(root, 'web01');
  mkdirSync(join(web, 'data/0'), { recursive: true });
  for (const name of ['config', 'README', 'data/0/1']) writeFileSync(join(web, name), '');
});
afterEach(() => rmSync(root, { recursive: true }));

const pipe = (name: string): void => void execFileSync('mkfifo', [join(web, name)]);

test('files, folders and links are what a repository has', () => {
  symlinkSync('data', join(web, 'link'));
  expect(findOddEntry(web, true)).toBeNull();
  expect(findOddEntry(join(root, 'absent'), true)).toBeNull();
});

test.each(['hints.7', 'data/pipe', 'data/0/2'])('a pipe is found: %s', (name) => {
  pipe(name);
  expect(findOddEntry(web, true)).toEqual({ path: name, kind: 'a pipe' });
});

test('a pipe beside the data does not count: nobody waits for it', () => {
  mkdirSync(join(web, 'beside'));
  pipe('beside/pipe');
  expect(findOddEntry(web, true)).toBeNull();
});

test('the survey tells of it, and goes on with the next', () => {
  pipe('index.7');
  mkdirSync(join(root, 'web02'));
  expect(surveyRepositories(root).map(({ path, state }) => [path, state])).toEqual([
    ['web01', { kind: 'unreadable', why: 'index.7 is a pipe, for which borg waits without end' }],
    ['web02', { kind: 'empty' }],
  ]);
});
