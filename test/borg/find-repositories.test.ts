import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findRepositories } from '../../src/borg/find-repositories.ts';
import { readRepositoryState } from '../../src/borg/repository-state.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'find-repositories-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const repository = (path: string): void => {
  mkdirSync(join(root, path, 'data'), { recursive: true });
  writeFileSync(join(root, path, 'README'), 'This is a Borg Backup repository.\n');
  writeFileSync(
    join(root, path, 'config'),
    `[repository]\nversion = 1\nsegments_per_dir = 1000\nid = ${'0'.repeat(64)}\n`,
  );
};

test('repositories of an account are found and listed, even if they have the names of borg’s own folders', () => {
  const names = ['config', 'data', 'deep/data', 'lock.exclusive', 'lock.old'];
  for (const name of names) repository(join('web01', name));
  repository('plain');
  expect(findRepositories(root)).toEqual({
    paths: ['plain', ...names.map((name) => join('web01', name))],
    leftOut: [],
  });
  expect(readRepositoryState(join(root, 'web01'))).toEqual({ kind: 'foreign', nested: names });
});

test('what lies in a repository below borg’s own folders is no repository', () => {
  repository('web01');
  for (const name of ['data/0', 'lock.exclusive', 'beside']) repository(join('web01', name));
  expect(findRepositories(root).paths).toEqual(['web01']);
  expect(readRepositoryState(join(root, 'web01'))).toMatchObject({ kind: 'repository', nested: ['beside'] });
});

test('a repository inside an account’s folder is listed even if its config is damaged', () => {
  repository('fleet/one');
  writeFileSync(join(root, 'fleet/one/config'), '');
  expect(readRepositoryState(join(root, 'fleet'))).toEqual({ kind: 'foreign', nested: ['one'] });
});

test('a repository that has lost its config is among them, so that borg says so', () => {
  repository('web01');
  rmSync(join(root, 'web01/config'));
  expect(findRepositories(root).paths).toEqual(['web01']);
});

test('no link is followed, and a dotfile is no repository', () => {
  repository('.hidden');
  repository('web01/.hidden');
  const elsewhere = mkdtempSync(join(tmpdir(), 'elsewhere-'));
  mkdirSync(join(elsewhere, 'x/data'), { recursive: true });
  writeFileSync(join(elsewhere, 'x/config'), '');
  symlinkSync(elsewhere, join(root, 'web01/link'));
  symlinkSync(elsewhere, join(root, 'link'));
  expect(findRepositories(root)).toEqual({ paths: [], leftOut: [] });
  rmSync(elsewhere, { recursive: true });
});

test('a folder with entries without end is read up to a bound, and named; the others are found', () => {
  mkdirSync(join(root, 'a'));
  for (let each = 0; each < 20_001; each += 1) writeFileSync(join(root, 'a', `${each}`), '');
  repository('b');
  expect(findRepositories(root)).toEqual({ paths: ['b'], leftOut: ['a'] });
});
