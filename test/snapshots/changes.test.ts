import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import type { Told } from '../../src/snapshots/change-record.ts';
import { PROJECT } from '../e2e/harness/machine.ts';
import { borgIn } from './borg-in.ts';

const { python } = findBorg();
const NOTHING = { objects: 0, bytes: 0 };

let root: string;
let repository: string;
let count = 0;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'changes-'));
  for (const name of ['one', 'two', 'three']) writeFileSync(join(root, name), randomBytes(100_000));
});
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(async () => {
  count += 1;
  repository = join(root, `repository${count}`);
  await borg('init', '--encryption', 'none', repository);
});

const borg = (...words: string[]) => borgIn(root, words);
const create = (archive: string) => borg('create', `${repository}::${archive}`, archive);
const remove = (archive: string) => borg('delete', `${repository}::${archive}`);
const compact = () => borg('compact', '--threshold', '0', repository);

let kept = 0;
/** As a snapshot has it: the same files under other names. */
const keep = async (): Promise<string> => {
  kept += 1;
  const into = join(root, `kept${kept}`);
  await execa('cp', ['-al', repository, into]);
  return into;
};
const changes = async (older: string, newer: string, known = -1): Promise<Told> => {
  const words = ['-I', join(PROJECT, 'image/snapshot'), 'changes', older, newer, String(known)];
  return JSON.parse((await execa(python, words)).stdout);
};
const transactionOf = (snapshot: string): number =>
  Math.max(
    ...readdirSync(snapshot)
      .flatMap((name) => /^index\.(\d+)$/.exec(name)?.[1] ?? [])
      .map(Number),
  );
/** A copy of a snapshot that somebody may change, without changing the other. */
const altered = (snapshot: string, change: (path: string) => void): string => {
  kept += 1;
  const into = join(root, `kept${kept}`);
  cpSync(snapshot, into, { recursive: true });
  change(into);
  return into;
};
const indexOf = (snapshot: string): string => join(snapshot, `index.${transactionOf(snapshot)}`);
test('what was added, deleted and compacted is counted, whether or not a compaction came in between', async () => {
  const empty = await keep();
  await create('one');
  const one = await keep();
  const first = await changes(empty, one);
  expect(first).toMatchObject({ objects: { before: 1, after: 4 }, unknown: null });
  expect(first.counted).toMatchObject({ deleted: NOTHING, replaced: NOTHING, added: { objects: 3 } });
  const added = first.counted?.added;
  expect(added?.bytes).toBeGreaterThan(100_000);
  await create('two');
  const both = await keep();
  await remove('one');
  const deleted = await keep();
  expect(await changes(both, deleted)).toMatchObject({
    objects: { before: 7, after: 4, bytes: expect.any(Number) },
    counted: { added: NOTHING, deleted: added, replaced: NOTHING, compacted: { segments: 0, bytes: 0 } },
  });
  await compact();
  const compacted = await keep();
  // What it has kept is written once more, and is neither added nor replaced.
  const atLast = await changes(deleted, compacted);
  expect(atLast).toMatchObject({ objects: { before: 4, after: 4 } });
  expect(atLast.counted).toMatchObject({ added: NOTHING, deleted: NOTHING, replaced: NOTHING });
  expect(atLast.counted?.compacted.bytes).toBeGreaterThan(100_000);
  expect((await changes(both, compacted)).counted).toMatchObject({ added: NOTHING, deleted: added });
  expect((await changes(both, both)).counted).toMatchObject({ added: NOTHING, deleted: NOTHING });
});

test('what an index has no more is deleted, though no new segment says so', async () => {
  for (const name of ['one', 'two']) await create(name);
  const both = await keep();
  await remove('one');
  const deleted = await keep();
  // As `borg check --repair` may make it, of what a transaction has left that was rolled back.
  const anew = altered(both, (path) => cpSync(indexOf(deleted), indexOf(path)));
  expect((await changes(both, anew)).counted).toMatchObject({ added: NOTHING, deleted: { objects: 3 } });
});

test('what was made and removed in between is neither added nor deleted', async () => {
  await create('one');
  const before = await keep();
  await create('two');
  await remove('two');
  const { objects, counted } = await changes(before, await keep());
  expect({ objects, counted }).toMatchObject({
    ...{ objects: { before: 4, after: 4 }, counted: { added: NOTHING, deleted: NOTHING, replaced: NOTHING } },
  });
});

test('what was deleted and saved again is not replaced', async () => {
  await create('one');
  const before = await keep();
  await remove('one');
  await create('one');
  expect((await changes(before, await keep())).counted).toMatchObject({ replaced: NOTHING });
});

test('what is deleted is told apart: whether it stood there before the last interval', async () => {
  await create('one');
  const known = transactionOf(await keep());
  await create('two');
  const both = await keep();
  await remove('two');
  const recent = await keep();
  expect((await changes(both, recent, known)).counted).toMatchObject({ deleted: { objects: 3 }, deletedRecent: 3 });
  await remove('one');
  const all = await keep();
  expect((await changes(both, all, known)).counted).toMatchObject({ deleted: { objects: 6 }, deletedRecent: 3 });
});

/** Puts another content under the id of an object. Its segment is closed, and is committed where somebody asks for that. */
const OVERWRITE = `
import sys
from borg.logger import setup_logging
from borg.repository import Repository
setup_logging()
repository = Repository(sys.argv[1], exclusive=True, lock_wait=1)
with repository:
    ids = [each for each in repository.list() if each != bytes(32)]
    repository.put(ids[0], b'something else, under the same id')
    repository.commit(compact=False)
`;

test('another content under the same id is told', async () => {
  await create('one');
  const before = await keep();
  await execa(python, ['-c', OVERWRITE, repository], { env: { BORG_BASE_DIR: join(root, 'base') } });
  expect((await changes(before, await keep())).counted).toMatchObject({
    ...{ replaced: { objects: 1 }, added: NOTHING, deleted: NOTHING },
  });
});

test('what a snapshot has of a transaction that was committed only later is counted then', async () => {
  await create('one');
  await create('two');
  const before = await keep();
  await remove('one');
  const after = await keep();
  // As if it had been taken while the segments were closed, and not committed yet.
  const [last, now] = [transactionOf(before), transactionOf(after)];
  const early = altered(before, () => {});
  for (const name of readdirSync(join(after, 'data/0')))
    if (Number(name) > last && Number(name) < now) linkSync(join(after, 'data/0', name), join(early, 'data/0', name));
  expect((await changes(early, after)).counted).toMatchObject({ deleted: { objects: 3 } });
  expect((await changes(before, early)).counted).toMatchObject({ deleted: NOTHING });
});

test('what is not as borg writes it is told, and what was deleted all the same where the indexes are whole', async () => {
  await create('one');
  await create('two');
  const before = await keep();
  await remove('one');
  const after = await keep();
  const segment = (path: string): string => join(path, 'data/0', String(transactionOf(path)));
  const bad: Record<string, string> = {
    'no index': altered(after, (path) => rmSync(indexOf(path))),
    'an index that is cut off': altered(after, (path) =>
      writeFileSync(indexOf(path), readFileSync(indexOf(path)).subarray(0, 500)),
    ),
    'an empty index': altered(after, (path) => writeFileSync(indexOf(path), '')),
    'an index of zeros': altered(after, (path) => writeFileSync(indexOf(path), Buffer.alloc(41_000))),
    'an index without buckets': altered(after, (path) => {
      const bytes = readFileSync(indexOf(path)).subarray(0, 18);
      bytes.writeInt32LE(0, 8);
      bytes.writeInt32LE(0, 12);
      writeFileSync(indexOf(path), bytes);
    }),
    'no data': altered(after, (path) => rmSync(join(path, 'data'), { recursive: true })),
    'a segment that is cut off': altered(after, (path) => writeFileSync(segment(path), 'BORG_SEG and no more')),
    'an empty segment': altered(after, (path) => writeFileSync(segment(path), '')),
    'a segment with more behind it': altered(after, (path) => appendFileSync(segment(path), 'more')),
    'an unfinished segment after the last transaction': altered(after, (path) =>
      writeFileSync(join(path, 'data/0', String(transactionOf(path) + 1)), 'BORG_'),
    ),
  };
  const found = await Promise.all(
    Object.entries(bad).map(async ([what, path]) => {
      const { counted, unknown } = await changes(before, path);
      return [what, [unknown, counted?.deleted.objects ?? null]];
    }),
  );
  expect(await changes(bad['no index'] ?? '', after)).toMatchObject({ objects: null, unknown: 'before-no-index' });
  expect(Object.fromEntries(found)).toEqual({
    'no index': ['no-index', null],
    'an index that is cut off': ['index', null],
    'an empty index': ['index', null],
    'an index of zeros': ['index', null],
    'an index without buckets': ['index', null],
    'no data': ['no-index', null],
    'a segment that is cut off': ['segment', 3],
    'an empty segment': ['segment', 3],
    'a segment with more behind it': ['segment', 3],
    'an unfinished segment after the last transaction': [null, 3],
  });
});
