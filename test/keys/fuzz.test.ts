import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';

test('hostile key lines are judged as ssh-keygen -l judges them, but for those refused by name', () => {
  const report = fuzz(6000, 20_26);
  expect(report.disagreements).toEqual([]);
  expect(report.accepted).toBeGreaterThan(500);
  expect(report.refusedByName).toBeGreaterThan(300);
});
