import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Finding } from '../src/accounts/finding.ts';
import type { ListedKey } from '../src/accounts/key-list.ts';
import { doctorText } from '../src/cli/doctor.ts';
import { historyText } from '../src/cli/history.ts';
import { keysText } from '../src/cli/keys.ts';
import type { RepositoryRow } from '../src/cli/repository-rows.ts';
import { createRunOnAllText } from '../src/cli/run-on-all-text.ts';
import { sessionsText } from '../src/cli/sessions.ts';
import { statusText } from '../src/cli/status-text.ts';
import { transactionsText } from '../src/cli/transactions.ts';
import { doneText, previewText } from '../src/cli/undo-text.ts';
import { updateText } from '../src/cli/update.ts';
import type { AccountStatus } from '../src/control/server-status.ts';
import { error, ok } from '../src/doctor/diagnosis.ts';
import type { SessionView } from '../src/sessions/session.ts';
import type { ChangeRecord, Writer } from '../src/snapshots/change-record.ts';
import { VERSION } from '../src/version.ts';

/** The block of a page that has this text, without the commands that are typed. */
const shown = (has: string, page = 'operations.md'): string =>
  (
    readFileSync(join(import.meta.dirname, '../docs', page), 'utf8')
      .split('\n```')
      .find((block) => block.includes(has)) ?? ''
  )
    .split('\n')
    .filter((line) => !line.startsWith('$ '))
    .join('\n')
    .trim();

const NOW = Date.parse('2026-01-01T12:00:00Z');
const ago = (seconds: number): number => NOW - seconds * 1000;
const [MINUTE, HOUR, DAY] = [60, 3600, 86_400];
const plain = (text: string): string => text;
const [SHARED, OWN] = [
  'SHA256:EnkQUWvfAWnXk/UYomt4kYMsZ7BnfQaVHd1N2A7BmgY',
  'SHA256:lpA6FoTN/XA41J6oNAwmEDTcTtnEmJY/10Dx3gXmvbI',
];

test('the page shows an update as it is printed', () => {
  const refused = (line: number | null, code: Finding['code'], message: string, remedy: string): Finding => ({
    ...{ severity: 'error', code, file: '/sshkeys/repos/nas', line, message, remedy },
  });
  const account = (name: string, role: 'repo' | 'admin', uid: number) => ({ name, role, uid, keys: 1 });
  const report = {
    recent: [
      {
        ...({ kind: 'account-added', account: 'web01', role: 'repo', secondsAgo: 3 } as const),
        reason: '1 key in /sshkeys/repos/web01',
      },
      {
        ...({ kind: 'repository-created', account: 'web01', secondsAgo: 3 } as const),
        reason: 'the account has no repository folder yet',
      },
    ],
    changes: [],
    findings: [
      refused(
        null,
        'no-valid-key',
        'there is no valid key in it, so it opens no account',
        'put a public key in it, or remove it',
      ),
      refused(1, 'weak-key', 'an RSA key of 1024 bits', 'make a new key with: ssh-keygen -t ed25519'),
    ],
    accounts: [account('alice', 'admin', 1000), account('laptop', 'repo', 10_000), account('web01', 'repo', 10_001)],
    ...{ stopped: false, failed: null, recheckIn: null },
  };
  expect(shown('Done already')).toBe(updateText(report, false));
});

test('the page shows a status as it is printed', () => {
  const row = (name: string, given: Partial<RepositoryRow>): RepositoryRow => ({
    ...{ name, role: 'repo', keys: 1, bytes: 46e6, objects: 9, quota: null, encryption: null },
    ...{ lastBackup: null, laterBackupUntil: null, locks: [], snapshots: null, marks: [] },
    ...given,
  });
  const kept = (repository: string, count: number, olderHold: number) => ({
    ...{ repository, count, olderHold, newest: ago(HOUR), marked: [], protected: true, failing: null },
  });
  const alice: AccountStatus = {
    ...{ name: 'alice', role: 'admin', uid: 1000, keys: 1, quota: null, lastLogin: null, connected: false },
  };
  const text = statusText(
    {
      server: {
        ...{ version: VERSION, borg: '1.4.0', openssh: 'OpenSSH_10.0p2', since: ago(6 * DAY), port: 22 },
        ...{ puid: 1000, pgid: 1000, identities: 'own', box: null, staleAfter: 26 * HOUR, minFree: 'auto' },
        ...{
          sessions: 0,
          findings: [],
          alarms: [],
          accounts: [alice],
          failedSessions: [],
          snapshots: [],
          sessionHost: 'off',
        },
        snapshots: [kept('db01.example.org', 12, 0), kept('web01', 19, 1.24e9)],
        lastPass: { at: ago(41), took: 3, changes: 0, changed: ago(2 * HOUR), stopped: false, failed: null },
      },
      vanished: null,
      disks: [{ path: '/repos', free: 77.1e9, total: 270.6e9, inodes: null, floor: 1, need: 1, state: 'enough' }],
      repositories: [
        row('db01.example.org', {
          lastBackup: ago(3 * DAY),
          marks: [{ code: 'stale', level: 'error', text: 'STALE: no backup for 3 d' }],
        }),
        row('laptop', {
          ...{ role: 'append-only', bytes: null, objects: null },
          marks: [{ code: 'never-initialised', level: 'warning', text: 'never initialised' }],
        }),
        row('web01', {
          ...{ lastBackup: ago(4 * HOUR), quota: 50e6 },
          marks: [{ code: 'near-quota', level: 'warning', text: 'near its quota of 50M' }],
        }),
      ],
    },
    NOW,
    plain,
  );
  expect(shown('REPOSITORY        ROLE')).toBe(text);
});

test('the page shows what doctor prints', () => {
  const text = doctorText(
    [
      ok('space', '77.1 GB free of 270.6 GB at /repos'),
      ok('sshd', 'borg-repo is restricted as it should be (asked for web01)'),
      error(
        'owners',
        "web01: 1 entry is not its own or closed to it, 1 of them root's: config (0:0, 660)",
        'borgserver doctor --fix',
      ),
      ok('locks', 'no lock is left behind'),
      // The widest topic, which the page leaves out.
      ok('host keys', ''),
    ],
    plain,
  );
  const lines = text.split('\n');
  expect(shown('no lock is left behind').split('\n')).toEqual(lines.slice(0, 5));
});

test('the page shows sessions as they are printed', () => {
  const session = (given: Partial<SessionView>): SessionView => ({
    ...{ peer: '', address: '', port: 0, account: '', role: 'repo', uid: 1, fingerprint: '', comment: '' },
    ...{ file: null, line: null, since: NOW, received: 0, sent: 0, borg: [], cpuSeconds: null, peakMemory: null },
    ...given,
  });
  const text = sessionsText(
    [
      session({
        ...{ account: 'alice', role: 'admin', address: '203.0.113.9', port: 56698, since: ago(4 * MINUTE) },
        ...{ received: 3400, sent: 3600, fingerprint: SHARED, comment: 'me@laptop' },
      }),
      session({
        ...{ account: 'web01', address: '203.0.113.7', port: 56704, since: ago(12), fingerprint: OWN },
        ...{ received: 231.4e6, sent: 1.2e6, borg: [245], cpuSeconds: 2.31, peakMemory: 41.2e6, comment: 'root@web01' },
      }),
    ],
    NOW,
  );
  expect(shown('RUNS').split('\n').slice(0, 3).join('\n')).toBe(text);
});

test('the page shows keys as they are printed', () => {
  const key = (account: string, role: ListedKey['role'], fingerprint: string, comment: string): ListedKey => ({
    ...{ account, role, type: 'ssh-ed25519', fingerprint, comment, options: {}, file: null, line: null },
    ...{ lastSeen: null, expired: false, alsoOpens: [] },
  });
  const text = keysText(
    [
      {
        ...key('alice', 'admin', SHARED, 'me@laptop'),
        ...{ alsoOpens: ['web01'], lastSeen: { at: '2026-01-01T11:56:00Z', address: '203.0.113.9' } },
      },
      { ...key('web01', 'repo', SHARED, 'me@laptop'), alsoOpens: ['alice'] },
      {
        ...key('web01', 'repo', OWN, 'root@web01'),
        ...{ options: { from: '203.0.113.0/24' }, lastSeen: { at: '2026-01-01T11:59:48Z', address: '203.0.113.7' } },
      },
    ],
    new Date(NOW),
  );
  expect(shown('LAST LOGIN')).toBe(text.trim());
});

test('the page shows the headings of `all` as they are printed', () => {
  let told = '';
  const stream = {
    isTTY: true,
    write: (text: string): boolean => {
      told += text;
      return true;
    },
  };
  const all = createRunOnAllText(stream, { NO_COLOR: '1' }, 2);
  for (const [index, name] of ['db01.example.org', 'web01'].entries()) {
    all.begin(index, name);
    all.ended(name, 0);
  }
  all.done();
  expect(shown('2 of 2 done')).toBe(told.trim());
});

test('the page shows a history as it is printed', () => {
  const now = Date.parse('2026-11-20T09:30:00Z');
  const nothing = { objects: 0, bytes: 0 };
  const by: Writer[] = [
    {
      ...{ kind: 'session', account: 'web01', role: 'repo', fingerprint: SHARED },
      ...{ comment: 'root@web01', from: '203.0.113.7', wrote: true },
    },
  ];
  const counted = { added: nothing, deleted: nothing, deletedRecent: 0, replaced: nothing };
  const record = { by, sinceTransaction: 1, unknown: null };
  const three = Date.parse('2026-11-20T03:00:00Z');
  const records: ChangeRecord[] = [
    {
      ...{ ...record, id: 8, snapshot: 8, before: 7, at: now - 2000, since: three, marks: ['mostly-deleted'] },
      objects: { before: 18_402, after: 1, bytes: 4.21e9 },
      counted: { ...counted, deleted: { objects: 18_401, bytes: 4.21e9 }, compacted: { segments: 12, bytes: 4.21e9 } },
    },
    {
      ...{ ...record, id: 7, snapshot: 7, before: 6, at: three, since: three - DAY * 1000, marks: [] },
      objects: { before: 18_210, after: 18_402, bytes: 3.9e9 },
      counted: { ...counted, added: { objects: 192, bytes: 310.4e6 }, compacted: { segments: 0, bytes: 0 } },
    },
  ];
  const text = historyText('web01', { records, seen: 0 }, { now, most: 20 });
  expect(shown('(since snapshot 7)', 'snapshots.md')).toBe(text);
  const seen = historyText('web01', { records, seen: 8 }, { now, most: 1 });
  expect(seen).toContain('  seen: most of what was there was deleted');
  expect(seen.split('\n').at(-1)).toBe('… and 1 older change: --all');
});

test('the page shows an undo as it is printed', () => {
  const now = Date.parse('2026-11-20T09:30:00Z');
  const id = `81a104e5${'0'.repeat(56)}`;
  const described = {
    ...{ number: 7, at: Date.parse('2026-11-20T03:00:00Z'), bytes: 4.21e9, segments: 12 },
    ...{ transaction: 31, objects: 18_402, id, key: 'former' },
  };
  const to = { transaction: null, described };
  const present = {
    ...{ number: 8, at: Date.parse('2026-11-20T09:29:58Z'), bytes: 1.2e6, segments: 2 },
    ...{ transaction: 36, objects: 1, id, key: 'present' },
  };
  const amounts = { comesBack: { segments: 12, bytes: 4.21e9 }, goes: { segments: 2, bytes: 1.2e6 } };
  const before = previewText(
    { path: 'web01', to, present, live: present, notKept: null, ...amounts, keepKey: false },
    now,
  );
  const after = doneText('web01', to, { former: 8, folder: null, isChecked: true }, now).replace(id, '81a104e5…');
  const page = shown('PRESENT (SNAPSHOT 8)', 'snapshots.md').split('\n');
  const asked = page.findIndex((line) => line.startsWith('Put it back?'));
  expect(page.slice(0, asked).join('\n')).toBe(before);
  expect(page.slice(asked + 2).join('\n')).toBe(after);
});

test('the page shows transactions, and an undo to one of them, as they are printed', () => {
  const now = Date.parse('2026-11-20T09:30:00Z');
  const at = (time: string): number => Date.parse(`2026-11-20T${time}Z`);
  const id = `81a104e5${'0'.repeat(56)}`;
  const present = {
    ...{ number: 8, at: at('09:29:58'), bytes: 4.22e9, segments: 37 },
    ...{ transaction: 36, objects: 1, id, key: 'present' },
  };
  const of = (transaction: number, time: string, ...snapshots: number[]) => ({
    ...{ transaction, at: at(time), snapshots, whole: true },
  });
  const found = [of(36, '09:21:40', 8), of(34, '09:20:03'), of(31, '09:00:12'), of(26, '03:00:11', 7)];
  const list = transactionsText('db01', present, { found, count: 7, present: 36 }, now);
  expect(shown('TRANSACTION  TIME', 'append-only.md')).toBe(list);
  const to = {
    transaction: 31,
    described: { ...present, transaction: 31, at: at('09:00:12'), bytes: 4.21e9, segments: 32, objects: null },
  };
  const goes = { segments: 5, bytes: 1.2e6 };
  const before = previewText(
    { ...{ path: 'db01', to, present, live: present, notKept: null }, ...{ comesBack: null, goes, keepKey: false } },
    now,
  );
  const after = doneText('db01', to, { former: 8, folder: null, isChecked: true }, now).split('\n');
  const page = shown('PRESENT (SNAPSHOT 8)', 'append-only.md').split('\n');
  const asked = page.findIndex((line) => line.startsWith('Put it back?'));
  expect(page.slice(0, asked).join('\n')).toBe(before);
  expect(page.slice(asked + 2, asked + 4)).toEqual(after.slice(0, 2));
});
