import { expect, test } from 'vitest';
import type { Pass, PassReport } from '../../src/reconcile/pass.ts';
import { createPassRecord } from '../../src/reconcile/pass-record.ts';

const REPORT: PassReport = {
  ...{ changes: [], findings: [], accounts: [], stopped: false, failed: null, recheckIn: null },
};
const CHANGED: PassReport = {
  ...REPORT,
  changes: [{ kind: 'account-added', account: 'web01', reason: 'a key file' }],
  accounts: [{ name: 'web01', role: 'repo', uid: 10_000, keys: 1 }],
};

/** Passes that take a second each, by a clock that only they move. */
const scene = () => {
  let time = 1000;
  let next: PassReport | Error = REPORT;
  const record = createPassRecord(String, () => time);
  const pass: Pass = record.heard(async () => {
    time += 1000;
    if (next instanceof Error) throw next;
    return next;
  });
  const run = (outcome: PassReport | Error, dryRun = false) => {
    next = outcome;
    return pass({ occasion: 'asked', dryRun }, new AbortController().signal).catch(() => null);
  };
  return { record, run };
};

test('the last pass is told with its time, and when something last changed', async () => {
  const { record, run } = scene();
  expect(record.last()).toBeNull();
  await run(CHANGED);
  await run(REPORT);
  expect(record.last()).toEqual({ at: 2000, took: 1000, changes: 0, changed: 1000, stopped: false, failed: null });
});

test('a pass that threw is told as failed, and leaves the accounts as they were', async () => {
  const { record, run } = scene();
  await run(CHANGED);
  await run(new Error('the disk is full'));
  expect(record.last()).toMatchObject({ failed: 'Error: the disk is full', changes: 0, changed: 1000 });
  expect(record.accounts()).toEqual(CHANGED.accounts);
  await run(REPORT);
  expect(record.last()).toMatchObject({ failed: null });
});

test('a dry run leaves no trace', async () => {
  const { record, run } = scene();
  await run(CHANGED, true);
  await run(new Error('no'), true);
  expect(record.last()).toBeNull();
  expect(record.accounts()).toEqual([]);
});
