import { expect, test } from 'vitest';
import { repositoryRows } from '../../src/cli/repository-rows.ts';
import { raisesAlarm } from '../../src/cli/status-text.ts';
import type { ServerStatus } from '../../src/control/server-status.ts';
import type { FailedSession } from '../../src/sessions/failed-sessions.ts';
import type { Surveyed } from '../../src/survey/repository-survey.ts';

const NOW = 1_800_000_000_000;
const FLEET: Surveyed = {
  path: 'fleet',
  folder: { name: 'fleet', kind: 'folder', uid: 10_000, gid: 10_000, mode: 0o2770 },
  ...{ nested: false, born: NOW, state: { kind: 'foreign', nested: ['one'] } },
};
const ONE: Surveyed = { ...FLEET, path: 'fleet/one', nested: true, state: { kind: 'empty' } };

const rows = (...failedSessions: FailedSession[]) => {
  const account = { name: 'fleet', role: 'repo', uid: 10_000, keys: 1, quota: null, lastLogin: null, connected: false };
  // A row needs nothing else that a server tells.
  const server = {
    ...{ version: '', borg: '', openssh: '', since: 0, puid: 1000, pgid: 1000, identities: 'own', box: null, port: 22 },
    ...{
      staleAfter: null,
      minFree: 'auto',
      lastPass: null,
      sessions: 0,
      findings: [],
      alarms: [],
      failedSessions,
      snapshots: [],
    },
    accounts: [{ ...account, subRepositories: true }],
  } as const satisfies Partial<Record<keyof ServerStatus, unknown>> as unknown as ServerStatus;
  return repositoryRows([FLEET, ONE], { server, now: NOW, staleAfter: Infinity, nameHolder: () => '' });
};
const failed = (repository: string): FailedSession => ({
  ...{ repository, account: 'fleet', cause: 'no-space', wrote: true, at: NOW - 60_000 },
});

test('a failed session is told at its repository, or at its account’s folder where that is not there', () => {
  expect(rows().map(({ name }) => name)).toEqual(['fleet/one']);
  const told = rows(failed('fleet/one'));
  expect(told.map(({ name }) => name)).toEqual(['fleet/one']);
  expect(told[0]?.marks[0]).toMatchObject({ code: 'failed', text: 'FAILED 60 s ago: no space left on the disk' });
  expect(told.some(raisesAlarm)).toBe(true);
  const missing = rows(failed('fleet/new'));
  expect(missing.map(({ name, marks }) => [name, marks[0]?.code])).toEqual([
    ['fleet', 'failed'],
    ['fleet/one', 'never-initialised'],
  ]);
  expect(missing.some(raisesAlarm)).toBe(true);
  expect(rows(failed('gone/one')).some(raisesAlarm)).toBe(false);
});
