import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { openFailedSessions } from '../../src/sessions/failed-sessions.ts';
import type { Ended } from '../../src/sessions/outcomes.ts';

let state = '';
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'failed-sessions-'));
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const log = createLog({ LOG_FORMAT: 'json', LOG_LEVEL: 'error' });
const openRecord = () => openFailedSessions(state, log);
const ended = (what: Ended['what'], wrote = true, repository = 'web01', account = 'web01'): Ended => ({
  ...{ what, wrote, repository, account },
});
const causes = (record: ReturnType<typeof openRecord>) =>
  record.list().map((each) => `${each.repository} ${each.cause}`);

test('a repository with a failed session counts as failed, also after a restart, until a later session on it has ended well', () => {
  const record = openRecord();
  record.note(ended('no-space'));
  record.note(ended('lock-held', false, 'db01', 'db01'));
  record.close();
  const next = openRecord();
  expect(causes(next)).toEqual(['web01 no-space', 'db01 lock-held']);
  // A session that only read has not shown that the repository can be written to.
  next.note(ended('well', false));
  next.note(ended('well', false, 'db01', 'db01'));
  expect(causes(next)).toEqual(['web01 no-space']);
  next.note(ended('permission', false));
  next.note(ended('well', false));
  expect(causes(next)).toEqual(['web01 permission']);
  next.note(ended('well'));
  expect(causes(next)).toEqual([]);
  next.close();
  expect(causes(openRecord())).toEqual([]);
});

test('one account cannot fill the record, nor take the place of others in it', () => {
  const record = openRecord();
  for (let number = 0; number < 1000; number += 1) record.note(ended('io', true, `fleet/${number}`, 'fleet'));
  record.note(ended('io', true, 'web01'));
  expect(record.list().length).toBe(101);
  expect(causes(record).at(-1)).toBe('web01 io');
  record.close();
  expect(readFileSync(join(state, 'failed-sessions.json')).length).toBeLessThan(20_000);
});

test('an account that is gone is not told; a damaged record is begun anew, and one that cannot be written stays in memory', () => {
  const record = openRecord();
  record.note(ended('io'));
  record.granted(new Map());
  expect(record.list()).toEqual([]);
  record.close();
  writeFileSync(join(state, 'failed-sessions.json'), '[{"repository": 7}]');
  const next = openRecord();
  expect(next.list()).toEqual([]);
  rmSync(state, { recursive: true });
  next.note(ended('io'));
  next.close();
  expect(causes(next)).toEqual(['web01 io']);
  mkdirSync(state);
});
