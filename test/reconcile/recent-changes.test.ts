import { expect, test } from 'vitest';
import { createRecentChanges } from '../../src/reconcile/recent-changes.ts';

const change = (account: string) => ({ kind: 'account-added', account, reason: '' }) as const;

test('what was done in the last minute is told, with how long ago it was', () => {
  let now = 0;
  const recent = createRecentChanges(() => now);
  recent.add([change('web01')]);
  now = 20_000;
  recent.add([change('web02')]);
  recent.add([]);
  now = 59_000;
  expect(recent.list().map(({ account, secondsAgo }) => [account, secondsAgo])).toEqual([
    ['web01', 59],
    ['web02', 39],
  ]);
  now = 60_000;
  expect(recent.list().map(({ account }) => account)).toEqual(['web02']);
});

test('of very many changes only the last hundred are told', () => {
  const recent = createRecentChanges(() => 0);
  for (let number = 0; number < 300; number += 1) recent.add([change(`web${number}`)]);
  expect(recent.list()).toHaveLength(100);
  expect(recent.list().at(-1)?.account).toBe('web299');
});
