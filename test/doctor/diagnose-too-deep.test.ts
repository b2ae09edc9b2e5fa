import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AccountStatus } from '../../src/control/server-status.ts';
import { diagnoseTooDeep } from '../../src/doctor/diagnose-too-deep.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { surveyRepositories } from '../../src/survey/repository-survey.ts';

const ACCOUNT: AccountStatus = {
  ...{ name: 'web01', role: 'repo', uid: 10_000, keys: 1, quota: null, lastLogin: null, connected: false },
};

let root: string;
let places: Places;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'too-deep-'));
  places = placesBelow(root);
  mkdirSync(join(root, 'bin'));
  // The server's part of the cure is tried end to end.
  writeFileSync(join(root, 'bin/update-borgusers'), '#!/bin/sh\n', { mode: 0o755 });
});
afterEach(() => rmSync(root, { recursive: true }));

/** What borg takes for a repository. */
const make = (path: string): void => {
  mkdirSync(join(places.repos, path, 'data/0'), { recursive: true });
  writeFileSync(join(places.repos, path, 'README'), '');
  writeFileSync(join(places.repos, path, 'config'), path);
};
const found = (account: Partial<AccountStatus> = {}) =>
  diagnoseTooDeep(places, { accounts: [{ ...ACCOUNT, ...account }] }, surveyRepositories(places.repos));
const type = (cure: string | null | undefined) =>
  execa('sh', ['-c', cure ?? 'false'], {
    cwd: '/',
    env: { PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH}` },
  });

test.each([
  { what: 'alone', inside: 'old', others: [] },
  { what: 'with a name that is not harmless', inside: "o'ld $(touch pwned)", others: [] },
  { what: 'beside other files', inside: 'old', others: ['letter'] },
  { what: 'deeper than one level', inside: 'backup/old', others: [] },
  { what: 'deeper, with names that are not harmless', inside: "b*ck [up]/o'ld $(touch pwned)", others: ['letter'] },
])('the printed cure moves a repository that lies one level too deep, $what, to where it belongs', async (given) => {
  make(`web01/${given.inside}`);
  mkdirSync(join(places.repos, 'web01.up'));
  mkdirSync(join(places.repos, 'web01.old'));
  for (const name of given.others) writeFileSync(join(places.repos, 'web01', name), 'mine');
  const [line, ...more] = found();
  expect(more).toEqual([]);
  expect(line).toMatchObject({
    level: 'error',
    message: expect.stringMatching(/^web01 was never initialised: a repo/),
  });
  expect(line?.cure).toContain('mv -T ');
  await type(line?.cure);
  expect(existsSync(join(places.repos, 'web01/data/0'))).toBe(true);
  expect(existsSync(join(root, 'pwned')) || existsSync('/pwned')).toBe(false);
  for (const name of given.others) expect(existsSync(join(places.repos, 'web01.old1', name))).toBe(true);
  expect(found()).toEqual([]);
});

test('if the account exchanges the folder for a link before the cure is typed, the cure goes nowhere else', async () => {
  make('web01/backup/old');
  make('victim/old');
  const cure = found()[0]?.cure ?? '';
  renameSync(join(places.repos, 'web01/backup'), join(places.repos, 'web01/kept'));
  symlinkSync(join(places.repos, 'victim'), join(places.repos, 'web01/backup'));
  await expect(type(cure)).rejects.toMatchObject({ exitCode: 1 });
  expect(existsSync(join(places.repos, 'victim/old/data/0'))).toBe(true);
  expect(existsSync(join(places.repos, 'web01'))).toBe(false);
});

test('an update between the two moves, which makes the folder anew, does no harm', async () => {
  make('web01/old');
  writeFileSync(join(places.repos, 'web01/letter'), '');
  const cure = found()[0]?.cure ?? '';
  await type(cure.replace('&& mv', `&& mkdir ${join(places.repos, 'web01')} && mv`));
  expect(existsSync(join(places.repos, 'web01/data/0'))).toBe(true);
});

test('of several repositories the first is moved, or the account may have several; one that may already is right', () => {
  make('web01/one');
  make('web01/two');
  expect(found()[0]?.message).toContain('web01/one, web01/two');
  expect(found()[0]?.cure).toContain('# borgserver: sub-repositories=yes');
  expect(found({ subRepositories: true })).toEqual([]);
  expect(found({ role: 'admin' })).toEqual([]);
});
