import { describe, expect, test } from 'vitest';
import { type Circumstances, marksOf } from '../../src/cli/repository-marks.ts';
import type { Surveyed } from '../../src/survey/repository-survey.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const HOUR = 3_600_000;

const ACCOUNT = {
  name: 'web01',
  role: 'repo',
  uid: 10_000,
  keys: 1,
  quota: null,
  lastLogin: null,
  connected: false,
} as const;
const FOLDER = { name: 'web01', kind: 'folder', uid: 10_000, gid: 10_000, mode: 0o2770 } as const;
const REPOSITORY = {
  kind: 'repository',
  config: { id: '0'.repeat(64), segmentsPerDir: 1000, appendOnly: false, quota: null, hasKey: true },
  encryption: 'repokey-blake2',
  bytes: 50_000_000,
  objects: 100,
  committed: NOW - HOUR,
  written: NOW - 2 * HOUR,
  lastArchive: null,
  nonceSpent: false,
  locks: [],
  nested: [],
  formerKeys: [],
} as const;

const GOOD: Surveyed = { path: 'web01', folder: FOLDER, nested: false, born: NOW - 1000 * HOUR, state: REPOSITORY };
const GIVEN: Circumstances = { account: ACCOUNT, puid: 1000, quota: null, now: NOW, staleAfter: 26 * 3600 };

const codes = (found: Partial<Surveyed>, given: Partial<Circumstances> = {}): string[] =>
  marksOf({ ...GOOD, ...found }, { ...GIVEN, ...given }).map(({ code }) => code);
const repository = (state: Partial<Extract<Surveyed['state'], { kind: 'repository' }>>) => ({
  state: { ...REPOSITORY, ...state },
});

describe('the marks of a repository', () => {
  test('are none where all is right', () => {
    expect(codes({})).toEqual([]);
  });

  test('call it stale by the last backup, and where there is none by the age of its folder', () => {
    const old = { committed: NOW - 27 * HOUR, written: NOW - 28 * HOUR };
    expect(codes(repository(old))).toEqual(['stale']);
    expect(codes(repository(old), { staleAfter: 30 * 3600 })).toEqual([]);
    expect(codes(repository(old), { staleAfter: Infinity })).toEqual([]);
    expect(codes({ state: { kind: 'empty' } })).toEqual(['stale', 'never-initialised']);
    expect(codes({ state: { kind: 'empty' }, born: NOW - HOUR })).toEqual(['never-initialised']);
    expect(codes({ ...repository({ objects: 1 }), born: NOW - HOUR })).toEqual(['no-archive']);
  });

  test('do not take what lies in the folder of an account of one repository for its backups', () => {
    const state = { kind: 'foreign', nested: ['inside'] } as const;
    expect(codes({ state })).toEqual(['stale', 'too-deep']);
    expect(codes({ state, born: NOW - HOUR })).toEqual(['too-deep']);
    expect(marksOf({ ...GOOD, state, born: NOW - HOUR }, GIVEN)[0]?.text).toBe(
      'never initialised: a repository lies one level too deep, in web01/inside (doctor says how to move it)',
    );
    const deeper = { kind: 'foreign', nested: ['backup/old'] } as const;
    expect(marksOf({ ...GOOD, state: deeper }, GIVEN).at(-1)?.text).toContain(
      'lies 2 levels too deep, in web01/backup',
    );
    expect(codes({ state: { kind: 'foreign', nested: [] }, born: NOW - HOUR })).toEqual(['foreign-files']);
    expect(codes({ state }, { account: { ...ACCOUNT, subRepositories: true } })).toEqual([]);
    expect(codes({ state }, { account: null })).toEqual(['no-key']);
  });

  test('do not take a compaction after the last backup, or an interrupted one, for a backup', () => {
    expect(codes(repository({ committed: NOW - HOUR, written: NOW - 28 * HOUR }))).toEqual(['stale']);
    expect(codes(repository({ committed: NOW - 28 * HOUR, written: NOW - HOUR }))).toEqual(['stale']);
  });

  test('do not take for a backup what others wrote after the last login of the account, an admin who prunes for example', () => {
    const account = { ...ACCOUNT, lastLogin: NOW - 50 * HOUR };
    expect(codes({}, { account })).toEqual(['stale']);
    expect(codes({}, { account: { ...account, connected: true } })).toEqual([]);
    expect(codes({}, { account: { ...account, lastLogin: NOW - 3 * HOUR } })).toEqual([]);
  });

  test('do not call what nobody can back up to stale, but say that no key opens it', () => {
    const old = repository({ committed: NOW - 99 * HOUR, written: NOW - 99 * HOUR });
    expect(codes(old, { account: null })).toEqual(['no-key']);
    expect(codes({ ...old, folder: { ...FOLDER, uid: 1000 } }, { account: null })).toEqual(['stale']);
    expect(codes(old, { account: undefined, puid: undefined })).toEqual(['stale']);
  });

  test('tell owner and mode of the folder', () => {
    expect(codes({ folder: { ...FOLDER, uid: 10_001 } })).toEqual(['wrong-owner']);
    expect(codes({ folder: { ...FOLDER, gid: 10_001 } })).toEqual(['wrong-owner']);
    expect(codes({ folder: { ...FOLDER, mode: 0o770 } })).toEqual(['wrong-owner']);
    expect(codes({ folder: { ...FOLDER, uid: 0 } }, { account: null })).toEqual(['wrong-owner', 'no-key']);
  });

  test('tell a quota from nine tenths on, and when it is exceeded', () => {
    expect(codes({}, { quota: 56_000_000 })).toEqual([]);
    expect(codes({}, { quota: 55_000_000 })).toEqual(['near-quota']);
    expect(codes({}, { quota: 50_000_000 })).toEqual(['near-quota']);
    expect(codes({}, { quota: 49_999_999 })).toEqual(['over-quota']);
    expect(codes(repository({ bytes: null }), { quota: 10_000_000 })).toEqual([]);
  });

  test('have the errors first, and no hostile text', () => {
    const found = { state: { kind: 'unreadable', why: 'EIO \x1b[2J' } } as const;
    expect(marksOf({ ...GOOD, ...found }, GIVEN)[0]?.text).toBe('cannot be read: EIO \\u{1b}[2J');
    const both = { ...repository({ encryption: 'none', bytes: 3 }), folder: { ...FOLDER, mode: 0 } };
    expect(codes(both)).toEqual(['wrong-owner', 'not-encrypted']);
  });

  test('say of files of root’s who hands them over, and when', () => {
    const foreign = { text: 'config (0:0)', lockedSince: null, linked: false };
    const said = (found: Partial<Surveyed>, given: Partial<Circumstances> = {}) =>
      marksOf({ ...GOOD, foreign, ...found }, { ...GIVEN, ...given }).find(({ code }) => code === 'foreign-owners')
        ?.text;
    expect(said({})).toMatch(/not its account’s \(an update hands them over\): config/);
    expect(said({ nested: true })).toContain('or at once: borgserver doctor --fix');
    // Nothing of an admin's repository is handed over.
    const admins = { folder: { ...FOLDER, uid: 1000, gid: 1000 } };
    expect(said(admins, { account: null })).toMatch(/not the admins’ \(update-borgusers tells what to do\): config/);
  });
});
