import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openArchiveRecord } from '../../src/survey/archive-record.ts';

let state = '';
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'archive-record-'));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const path = () => join(state, 'last-archives.json');
const FOUND = { key: '7 1000', segment: 4, finished: 1_700_000_000_000, moved: null, unknown: false };
const write = (): void => {
  const record = openArchiveRecord(state);
  record.note('id 1:2', FOUND);
  record.close();
};

it('what was found is there the next time, and what is gone is forgotten', () => {
  write();
  const next = openArchiveRecord(state);
  expect(next.recall('id 1:2')).toEqual(FOUND);
  expect(next.recall('id 1:3')).toBeUndefined();
  next.close();
  expect(openArchiveRecord(state).recall('id 1:2')).toBeUndefined();
});

it('nothing is written if nothing has changed', () => {
  write();
  const before = readFileSync(path(), 'utf8');
  writeFileSync(path(), `${before} `);
  write();
  expect(readFileSync(path(), 'utf8')).toBe(`${before} `);
});

it.each([
  ['cut off', () => writeFileSync(path(), '{"id 1:2": {"key"')],
  ['of another form', () => writeFileSync(path(), JSON.stringify({ 'id 1:2': { ...FOUND, finished: 'soon' } }))],
  ['without end', () => writeFileSync(path(), Buffer.alloc(17 << 20, ' '))],
  ['a pipe', () => execa('mkfifo', [path()])],
  ['a link', () => symlinkSync('elsewhere', path())],
  ['a folder', () => mkdirSync(path())],
])('a record that is %s is begun anew', async (_, damage) => {
  await damage();
  expect(openArchiveRecord(state).recall('id 1:2')).toBeUndefined();
  write();
});

it('if nothing can be written, the survey does without a record', () => {
  rmSync(state, { recursive: true });
  write();
  expect(openArchiveRecord(state).recall('id 1:2')).toBeUndefined();
});
