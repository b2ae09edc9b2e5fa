import { expect, test } from 'vitest';
import type { ChangeRecord } from '../../src/snapshots/change-record.ts';
import { answersFrom, lookBeforeCompact } from '../../src/snapshots/questions.ts';

const record = (id: number, marks: ChangeRecord['marks'], at = 0): ChangeRecord => ({
  ...{ id, marks, at, snapshot: id, before: id - 1, since: 0, sinceTransaction: null, by: [] },
  ...{ objects: null, counted: null, unknown: null },
});
const WELL = { seen: 0, notKept: null, isThere: true, acknowledged: 0 };
const MARKED = [
  record(3, []),
  record(2, ['mostly-deleted', 'key-replaced'], Date.UTC(2026, 10, 20, 3)),
  record(1, ['replaced']),
];

test('a repository is compacted if nothing is marked in it, or somebody has looked at all that is', () => {
  expect(lookBeforeCompact('web01', { ...WELL, records: [] })).toBeNull();
  expect(lookBeforeCompact('web01', { ...WELL, records: MARKED, seen: 2 })).toBeNull();
  expect(lookBeforeCompact('web01', { ...WELL, records: MARKED, seen: 1 })).toBe(
    'web01 is not compacted: most of what was there was deleted; the key was replaced (until 2026-11-20T03:00:00Z), and nobody has looked at it yet. On the server: borgserver history web01, and if it is all right: borgserver history web01 --seen',
  );
  const hostile = lookBeforeCompact('web01/a b\n\u001b', { ...WELL, records: MARKED }) ?? '';
  expect(hostile).toMatch(/^[ -~]*$/);
  expect(hostile).toContain("history 'web01/a b\\u{a}\\u{1b}' --seen");
});

test('what cannot be looked at is not compacted, unless the disk is full, or nothing was ever known', () => {
  const seen = { ...WELL, records: MARKED, seen: 3 };
  const unlike = (code: string) => ({ notKept: { code, why: 'it holds too many files' } });
  expect(lookBeforeCompact('web01', { ...seen, ...unlike('too-much') })).toBe(
    'web01 is not compacted: the server cannot look at its present state (it holds too many files); see borgserver status',
  );
  expect(lookBeforeCompact('web01', { ...seen, isThere: false })).toContain('does not find it');
  for (const code of ['no-space', 'other-file-system'])
    expect(lookBeforeCompact('web01', { ...seen, ...unlike(code) })).toBeNull();
  expect(lookBeforeCompact('web01', { ...WELL, records: [], ...unlike('too-much') })).toBeNull();
});

test('a question is whether it is kept, by whom it was changed, or whether it may be compacted; another one is not answered', async () => {
  const kept: unknown[] = [];
  const answer = answersFrom({
    keep: async (path, more) => {
      kept.push([path, more?.by]);
      if (path === 'full') throw new Error('the disk is full');
      return [{ repository: String(path), result: path === 'off' ? 'off' : 'kept' }];
    },
    isAppendOnly: (path) => path !== 'web02',
    history: async (path) => ({ ...WELL, records: path === 'web01' ? MARKED : [] }),
  });
  expect(await answer('web01')).toBe('');
  expect(await answer('+web01')).toBe('');
  expect(await answer('!web01')).toBe('');
  expect(kept).toEqual([
    ['web01', undefined],
    ['web01', undefined],
    ['web01', 'admins'],
  ]);
  for (const sign of ['+', '!']) expect(await answer(`${sign}web02`)).toBe('not kept');
  expect(kept).toHaveLength(3);
  for (const path of ['full', 'off'])
    for (const sign of ['', '+', '!']) expect(await answer(sign + path)).toBe('not kept');
  expect(await answer('?db01')).toBe('');
  expect(await answer('?web01')).toMatch(/^web01 is not compacted: /);
  for (const path of ['', '.borgserver', '../web01', 'web01//x', 'web01/.x'])
    for (const sign of ['?', '+', '!']) await expect(answer(sign + path)).rejects.toThrow('no path');
});
