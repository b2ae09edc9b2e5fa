import { expect, test } from 'vitest';
import { exitCodeOf } from '../../src/cli/doctor.ts';
import type { MarkCode } from '../../src/cli/mark.ts';
import { raisesAlarm } from '../../src/cli/status-text.ts';
import { error, ok, warning } from '../../src/doctor/diagnosis.ts';

test('doctor ends with 2 for an error, 1 for a warning, 0 where all is right', () => {
  const [right, doubtful, wrong] = [ok('space', ''), warning('space', '', ''), error('space', '', '')];
  expect([[right], [right, doubtful], [doubtful, wrong, right], []].map(exitCodeOf)).toEqual([0, 1, 2, 0]);
});

test('status is an alarm for a repository without backups or that cannot be read, and for nothing else', () => {
  const row = (...codes: readonly MarkCode[]) => ({
    marks: codes.map((code) => ({ code, level: 'error' as const, text: '' })),
  });
  expect([row('stale'), row('no-key', 'unreadable')].map(raisesAlarm)).toEqual([true, true]);
  expect([row(), row('near-quota', 'never-initialised', 'wrong-owner')].map(raisesAlarm)).toEqual([false, false]);
});
