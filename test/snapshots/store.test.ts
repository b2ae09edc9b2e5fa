import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  beginSnapshot,
  clearUnfinished,
  listSnapshots,
  removeSnapshot,
  snapshotsOf,
} from '../../src/snapshots/store.ts';

const NOW = Date.UTC(2026, 10, 20, 3, 0, 12, 345);
let state: string;
let folder: string;

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'snapshot-store-'));
  folder = snapshotsOf(state, 'web01') ?? '';
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const take = (now = NOW, about: unknown = {}) => {
  const unfinished = beginSnapshot(folder, now);
  writeFileSync(join(unfinished.into, 'config'), `at ${now}`);
  return unfinished.finish(about);
};

test('each repository has a place of its own, also below those of its account, and below none of a snapshot’s', () => {
  const below = (path: string): string | undefined => snapshotsOf('/s', path)?.slice('/s/snapshots/'.length);
  expect(below('web01')).toBe('web01');
  expect(below('web01/db')).toBe('web01/+db');
  expect(below('web01/db/main')).toBe('web01/+db%2Fmain');
  expect(below('web01/db%2Fmain')).toBe('web01/+db%252Fmain');
  expect(below('web01/..')).toBe('web01/+..');
  expect(below('web01/1@2026-11-20T03:00:12Z')).toBe('web01/+1%402026-11-20T03%3A00%3A12Z');
  expect(below(`web01/${'x'.repeat(254)}`)).toBe(`web01/+${'x'.repeat(254)}`);
  expect(below(`web01/${'/'.repeat(90)}`)).toBeUndefined();
});

test('a snapshot is there once it is finished, with a number, its time and what is said of it; only root can reach it', () => {
  expect(listSnapshots(folder)).toEqual([]);
  const unfinished = beginSnapshot(folder, NOW);
  expect(listSnapshots(folder)).toEqual([]);
  expect(readdirSync(unfinished.into)).toEqual([]);
  const taken = unfinished.finish({ transaction: 7 });
  expect(taken).toEqual({ number: 1, at: Math.floor(NOW / 1000) * 1000, path: join(folder, '1@2026-11-20T03:00:12Z') });
  expect(listSnapshots(folder)).toEqual([taken]);
  expect(JSON.parse(readFileSync(join(taken.path, 'about.json'), 'utf8'))).toEqual({ transaction: 7 });
  for (const path of [join(state, 'snapshots'), folder, taken.path, join(taken.path, 'repository')])
    expect(statSync(path).mode & 0o077, path).toBe(0);
});

test('numbers go up, whatever the clock says, and ten comes after nine', () => {
  for (let count = 0; count < 11; count += 1) take(NOW - count * 86_400_000);
  const all = listSnapshots(folder);
  expect(all.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(all[10]?.at).toBeLessThan(all[0]?.at ?? 0);
});

test('one that is dropped, or is no snapshot, is none', async () => {
  const dropped = beginSnapshot(folder, NOW);
  await dropped.drop();
  expect(readdirSync(folder)).toEqual([]);
  for (const name of ['x', '0@2026-11-20T03:00:12Z', '2@yesterday', '+nested', '.making-3@2026-11-20T03:00:12Z'])
    mkdirSync(join(folder, name));
  expect(listSnapshots(folder)).toEqual([]);
});

test('one that is removed is gone from the first step on, and the others stay', async () => {
  const [first, second] = [take(), take()];
  const removal = removeSnapshot(folder, first);
  expect(listSnapshots(folder)).toEqual([second]);
  await removal;
  expect(readdirSync(folder)).toEqual(['2@2026-11-20T03:00:12Z']);
  // Its number is not used again.
  expect(take().number).toBe(3);
});

test('what was begun when the server ended is removed, and nothing else', async () => {
  const whole = take();
  beginSnapshot(folder, NOW);
  mkdirSync(join(folder, '.removing-9@2026-11-20T03:00:12Z/repository/data'), { recursive: true });
  mkdirSync(join(folder, '+nested'));
  await clearUnfinished(folder);
  expect(readdirSync(folder).sort()).toEqual(['+nested', '1@2026-11-20T03:00:12Z']);
  expect(existsSync(whole.path)).toBe(true);
  await clearUnfinished(join(state, 'nowhere'));
});
