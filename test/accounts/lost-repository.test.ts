import { expect, test } from 'vitest';
import { NO_REPOSITORIES, trackRepositories } from '../../src/accounts/lost-repository.ts';

const folder = (name: string, filled?: boolean, uid = 10_000) => ({
  ...{ name, kind: 'folder' as const, uid, gid: uid, mode: 0o2770 },
  ...(filled !== undefined && { filled }),
});
const seen = (folders: readonly ReturnType<typeof folder>[], declared: readonly string[], isWhole = true) => ({
  ...{ folders, declared: new Set(declared), isWhole },
});
const KEPT = { kept: ['web01'], lost: [] };
const LOST = { kept: [], lost: ['web01'] };

test('a repository counts once its folder holds something', () => {
  expect(
    trackRepositories(NO_REPOSITORIES, seen([folder('web01', true), folder('db', false)], ['web01', 'db'])),
  ).toEqual(KEPT);
  expect(trackRepositories(NO_REPOSITORIES, seen([folder('db', false)], ['db', 'new']))).toBe(NO_REPOSITORIES);
});

test('a repository is lost if its folder is gone and its key file is not', () => {
  expect(trackRepositories(KEPT, seen([], ['web01']))).toEqual(LOST);
  expect(trackRepositories(KEPT, seen([], ['web01'], false))).toEqual(LOST);
});

test('a repository is lost if an empty folder of root’s is in its place: a mount point without its disk', () => {
  expect(trackRepositories(KEPT, seen([folder('web01', false, 0)], ['web01']))).toEqual(LOST);
  expect(trackRepositories(NO_REPOSITORIES, seen([folder('web01', false, 0)], ['web01']))).toBe(NO_REPOSITORIES);
});

test('a repository is not lost if its client has emptied it, if its key file is gone, too, or if it was never filled', () => {
  expect(trackRepositories(KEPT, seen([folder('web01', false)], ['web01']))).toEqual(NO_REPOSITORIES);
  expect(trackRepositories(KEPT, seen([], []))).toEqual(NO_REPOSITORIES);
});

test('a lost repository is not forgotten while a role folder cannot be read', () => {
  expect(trackRepositories(KEPT, seen([], [], false))).toBe(KEPT);
  expect(trackRepositories(LOST, seen([], [], false))).toBe(LOST);
});

test('a repository stays lost, filled again or not, until the loss is confirmed or its key file goes', () => {
  for (const filled of [false, true]) {
    const now = trackRepositories(LOST, seen([folder('web01', filled)], ['web01']));
    expect(now.lost).toEqual(['web01']);
    const known = { ...seen([folder('web01', filled)], ['web01']), confirmed: new Set(['web01']) };
    expect(trackRepositories(now, known)).toEqual({ kept: filled ? ['web01'] : [], lost: [] });
    expect(trackRepositories(now, { ...known, confirmed: new Set(['db']) }).lost).toEqual(['web01']);
  }
  expect(trackRepositories(LOST, seen([folder('web01', false)], []))).toEqual(NO_REPOSITORIES);
});

test('nothing changes where a folder was not looked into', () => {
  expect(trackRepositories(KEPT, seen([folder('web01')], ['web01']))).toBe(KEPT);
});

test('what a file system or a NAS keeps there for itself is no repository, also where an earlier record has it', () => {
  const nobodys = [folder('lost+found', true, 0), folder('@eaDir', true), folder('web01', true)];
  expect(trackRepositories(NO_REPOSITORIES, seen(nobodys, ['web01']))).toEqual(KEPT);
  const earlier = { kept: ['#recycle', 'lost+found', 'web01'], lost: [] };
  expect(trackRepositories(earlier, seen(nobodys, ['web01']))).toEqual(KEPT);
  expect(trackRepositories(earlier, seen([], [], false))).toEqual(KEPT);
});
