import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findForeignEntries, findForeignOwners } from '../../src/repositories/foreign-entries.ts';

const [UID, PUID] = [10_007, 1000];
let folder: string;

const make = (path: string, uid = UID, gid = UID, mode = 0o660): string => {
  const place = join(folder, path);
  if (path.endsWith('/')) mkdirSync(place);
  else writeFileSync(place, '');
  chownSync(place, uid, gid);
  chmodSync(place, mode);
  return place;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'foreign-entries-'));
  chownSync(folder, UID, UID);
  chmodSync(folder, 0o2770);
  make('data/', UID, UID, 0o2770);
  make('data/0/', PUID, UID, 0o2770);
  make('config');
  make('data/0/1', PUID);
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the files of the account and of the admins are right', async () => {
  expect(await findForeignEntries(folder, UID, PUID)).toEqual({ count: 0, roots: 0, examples: [] });
});

test('files of root’s, of another account or group, and closed files are told, each once', async () => {
  make('index.1', 0, 0, 0o600);
  make('hints.1', 10_008);
  make('nonce', UID, 10_008);
  make('README', UID, UID, 0o640);
  make('data/1/', UID, UID, 0o770);
  const found = await findForeignEntries(folder, UID, PUID);
  expect(found).toMatchObject({ count: 5, roots: 1 });
  expect(found.examples).toHaveLength(3);
});

test('what snapshots share is right, in a repository of an account and of the admins; not with another group or mode', async () => {
  make('data/0/2', 0, UID, 0o440);
  expect((await findForeignEntries(folder, UID, PUID)).count).toBe(0);
  const before = await findForeignOwners(folder, PUID, UID);
  make('data/0/3', 0, UID, 0o440);
  expect(await findForeignOwners(folder, PUID, UID)).toEqual(before);
  expect((await findForeignOwners(folder, PUID, PUID)).count).toBeGreaterThan(before.count);
  make('data/0/4', 0, 10_008, 0o440);
  make('data/0/5', 0, UID, 0o640);
  make('data/0/6', UID, UID, 0o440);
  expect((await findForeignEntries(folder, UID, PUID)).count).toBe(3);
});

test('what a file system or a NAS keeps there for itself is nobody’s fault', async () => {
  make('lost+found/', 0, 0, 0o700);
  make('lost+found/#12', 0, 0, 0o600);
  make('data/@eaDir/', 0, 0, 0o755);
  expect((await findForeignEntries(folder, UID, PUID)).count).toBe(0);
  // A file of that name is not kept by a NAS: only a folder is.
  make('#recycle', 0, 0);
  expect((await findForeignEntries(folder, UID, PUID)).count).toBe(1);
});

test('a lock that is being made is no fault', async () => {
  make('lock.exclusive.abc.tmp/', UID, UID, 0o2700);
  expect((await findForeignEntries(folder, UID, PUID)).count).toBe(0);
});

test('no link is followed, and a name cannot forge a line', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'outside-'));
  writeFileSync(join(outside, 'roots'), '');
  symlinkSync(outside, join(folder, 'link'));
  make('x\n0:0 600 forged\x1b[2J', 10_009);
  const { count, roots, examples } = await findForeignEntries(folder, UID, PUID);
  rmSync(outside, { recursive: true });
  // The link itself is root's.
  expect({ count, roots }).toEqual({ count: 2, roots: 1 });
  expect(examples.join(' ')).toContain('x\\u{a}0:0 600 forged\\u{1b}[2J (10009:10007, 660)');
});

test('in a repository of the admins only the owner counts', async () => {
  expect(await findForeignOwners(folder, UID, UID)).toMatchObject({ count: 2, roots: 0 });
  expect(lstatSync(folder).uid).toBe(UID);
});
