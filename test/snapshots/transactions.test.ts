import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { transactionsText } from '../../src/cli/transactions.ts';
import type { Snapshot } from '../../src/snapshots/store.ts';
import { listTransactions, lookAtTransaction } from '../../src/snapshots/transactions.ts';
import { PROJECT } from '../e2e/harness/machine.ts';
import { borgIn } from './borg-in.ts';

const { python } = findBorg();
const FILES = ['one', 'two', 'three'];

// What is shipped with the program is looked for beside it.
process.argv[1] = join(PROJECT, 'src/main.ts');

let root: string;
let repository: string;
let snapshots: string;
let count = 0;
let number = 0;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'transactions-'));
  for (const name of FILES) writeFileSync(join(root, name), randomBytes(100_000));
});
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  count += 1;
  number = 0;
  [repository, snapshots] = [join(root, `repository${count}`), mkdtempSync(join(root, 'snapshots-'))];
});

const borg = (...words: string[]) => borgIn(root, words);
/** Append-only, as it says: then a client's borg writes down its transactions. */
const init = (...options: string[]) => borg('init', '--encryption', 'none', '--append-only', ...options, repository);
const create = (archive: string) => borg('create', `${repository}::${archive}`, archive);
/** As an admin does. */
const compact = async (): Promise<void> => {
  await borg('config', repository, 'append_only', '0');
  await borg('compact', '--threshold', '0', repository);
  await borg('config', repository, 'append_only', '1');
};
/** As a snapshot has it: the same files under other names. What borg changes where it is is another file. */
const keep = async (): Promise<Snapshot> => {
  number += 1;
  const path = join(snapshots, `${number}@2026-11-20T03:00:0${number}Z`);
  await execa('mkdir', [path]);
  await execa('cp', ['-al', repository, join(path, 'repository')]);
  await execa('cp', ['--remove-destination', join(repository, 'transactions'), join(path, 'repository')], {
    reject: false,
  });
  return { number, at: 0, path };
};
const inIt = (snapshot: Snapshot, path: string): string => join(snapshot.path, 'repository', path);
const segmentsOf = (path = repository): number[] =>
  readdirSync(join(path, 'data/0'))
    .map(Number)
    .sort((one, other) => one - other);
const last = (): number => segmentsOf().at(-1) ?? -1;
const look = (snapshot: Snapshot, transaction: number) => lookAtTransaction(python, snapshot, transaction);
const list = async (snapshot: Snapshot, most = Infinity) => {
  const found = await listTransactions(python, snapshot, most);
  if ('code' in found) throw new Error(found.code);
  return found;
};
const listed = async (snapshot: Snapshot) => (await list(snapshot)).found.map(({ transaction }) => transaction);
/** Two archives; and the transactions at the first one and at the second one. */
const filled = async (): Promise<readonly [number, number]> => {
  await init();
  await create('one');
  const first = last();
  await create('two');
  return [first, last()];
};

describe('a repository that nobody has compacted can go back', () => {
  test('to each of its transactions but the present one, from the first on', async () => {
    await filled();
    const kept = await keep();
    const { found, present } = await list(kept);
    expect(found.map(({ transaction }) => transaction).at(-1)).toBe(1);
    expect(found.map(({ transaction }) => transaction)[0]).toBe(present);
    expect(found.every(({ whole }) => whole)).toBe(true);
    for (const { transaction, at } of found.slice(1)) {
      const later = segmentsOf().filter((each) => each > transaction).length;
      const looked = await look(kept, transaction);
      expect(looked).toMatchObject({ segments: transaction + 1, at, goes: { segments: later } });
    }
    expect(await look(kept, present)).toMatchObject({ code: 'present-transaction' });
    expect(await look(kept, present + 1)).toMatchObject({
      code: 'no-transaction',
      why: expect.stringContaining(`${present}`),
    });
  });

  test('and is told apart by its bytes', async () => {
    const [first] = await filled();
    const sizes = segmentsOf().map((each) => readFileSync(join(repository, `data/0/${each}`)).length);
    const sum = (some: number[]): number => some.reduce((one, other) => one + other, 0);
    expect(await look(await keep(), first)).toMatchObject({
      bytes: sum(sizes.slice(0, first + 1)),
      goes: { bytes: sum(sizes.slice(first + 1)) },
    });
  });

  test('also where a client was interrupted, and the numbers of what it had left were used again', async () => {
    const [first, second] = await filled();
    const script = `
import sys, os
from borg.logger import setup_logging
from borg.repository import Repository
setup_logging(level='error')
with Repository(sys.argv[1], exclusive=True) as repository:
    for each in range(4):
        repository.put(b'%032d' % each, os.urandom(1000))
        repository.io.close_segment()
    os.kill(os.getpid(), 9)
`;
    const killed = await execa(python, ['-c', script, repository], { reject: false });
    expect(killed).toMatchObject({ signal: 'SIGKILL', stderr: '' });
    expect(last()).toBeGreaterThan(second);
    const left = await keep();
    expect(await look(left, second)).toMatchObject({ code: 'present-transaction' });
    expect(await look(left, first)).toMatchObject({ segments: first + 1 });
    await borg('break-lock', repository);
    await create('three');
    const kept = await keep();
    expect(segmentsOf()).toEqual(segmentsOf().map((_, place) => place));
    for (const each of [first, second]) expect(await look(kept, each)).toMatchObject({ segments: each + 1 });
  });

  test('also where a commit has no index yet', async () => {
    const [first, second] = await filled();
    for (const name of readdirSync(repository))
      if (/^(index|hints|integrity)\./.test(name)) rmSync(join(repository, name));
    const kept = await keep();
    expect(await look(kept, second)).toMatchObject({ code: 'present-transaction' });
    expect(await look(kept, first)).toMatchObject({ segments: first + 1 });
  });
});

describe('a state that is not whole any more is refused', () => {
  test('where somebody has compacted, and a later one is none to go back to, either', async () => {
    const [, second] = await filled();
    await borg('delete', `${repository}::one`);
    await compact();
    await create('three');
    const third = last();
    await create('one');
    const kept = await keep();
    for (const each of [second, third]) expect(await look(kept, each)).toMatchObject({ code: 'compacted' });
    expect((await list(kept)).found.find(({ transaction }) => transaction === third)).toMatchObject({ whole: false });
  });

  test('where a snapshot was taken in the middle of a compaction, whose commits its index does not know yet', async () => {
    const [first, second] = await filled();
    rmSync(join(repository, 'data/0/2'));
    const snapshot = await keep();
    renameSync(inIt(snapshot, `index.${second}`), inIt(snapshot, `index.${first}`));
    expect(first).toBeGreaterThan(2);
    expect(await look(snapshot, first)).toMatchObject({ code: 'compacted' });
  });

  test('unless a snapshot says that it was compacted before', async () => {
    const [first, second] = await filled();
    await borg('delete', `${repository}::one`);
    await keep();
    await compact();
    const after = await keep();
    await create('three');
    const third = last();
    await create('one');
    const kept = await keep();
    expect(await look(kept, third)).toMatchObject({ goes: { segments: last() - third } });
    const { found } = await list(kept);
    expect(found.find(({ transaction }) => transaction === third)).toMatchObject({ whole: true });
    for (const each of [first, second]) expect(await look(kept, each)).toMatchObject({ code: 'compacted' });
    // What this one has is gone, and so it says nothing.
    rmSync(after.path, { recursive: true });
    expect(await look(kept, third)).toMatchObject({ code: 'compacted' });
  });

  test.each(['is gone', 'is empty'])(
    'where one segment %s, with its number, also if a snapshot has it',
    async (how) => {
      const [first, second] = await filled();
      await keep();
      await create('three');
      const third = last();
      await borg('delete', `${repository}::three`);
      const gone = join(repository, `data/0/${first + 1}`);
      rmSync(gone);
      if (how === 'is empty') writeFileSync(gone, '');
      const kept = await keep();
      for (const each of [second, third])
        expect(await look(kept, each)).toMatchObject({
          code: 'compacted',
          why: expect.stringContaining(`${first + 1} is gone`),
        });
      expect(await look(kept, first)).toMatchObject({ segments: first + 1 });
    },
  );

  test('where no transaction ends, though it may look so', async () => {
    const [first] = await filled();
    const kept = await keep();
    expect(await look(kept, first - 1)).toMatchObject({ code: 'no-commit' });
    // An object may end with the bytes of a commit.
    const segment = inIt(kept, `data/0/${first - 1}`);
    const [commit, whole] = [readFileSync(inIt(kept, `data/0/${first}`)).subarray(-9), readFileSync(segment)];
    rmSync(segment);
    writeFileSync(segment, Buffer.concat([whole.subarray(0, -9), commit]));
    expect(await look(kept, first - 1)).toMatchObject({ code: 'no-commit' });
    writeFileSync(segment, Buffer.concat([whole, commit]));
    expect(await look(kept, first - 1)).toMatchObject({ segments: first });
    writeFileSync(segment, Buffer.concat([whole.subarray(0, 8), commit, whole.subarray(8), commit]));
    expect(await look(kept, first - 1)).toMatchObject({ code: 'no-commit' });
  });
});

describe('the list of transactions', () => {
  test('names the snapshots of each, but not those of a number that was used again', async () => {
    const [first] = await filled();
    for (let each = 0; each < 2; each += 1) await keep();
    // Somebody has gone back by hand, and the next backup got the same numbers.
    for (const each of segmentsOf()) if (each > first) rmSync(join(repository, `data/0/${each}`));
    for (const name of readdirSync(repository))
      if (/^(index|hints|integrity)\./.test(name)) rmSync(join(repository, name));
    await borg('delete', '--cache-only', repository);
    rmSync(join(root, 'base/.config/borg/security'), { recursive: true });
    await create('three');
    const kept = await keep();
    const { found, count: all } = await list(kept);
    const numbers = found.map(({ transaction }) => transaction);
    expect(numbers).toEqual(numbers.toSorted((one, other) => other - one));
    expect(new Set(numbers).size).toBe(all);
    expect(found[0]).toMatchObject({ transaction: last(), snapshots: [3] });
    const text = transactionsText('db01', kept, { found, count: all, present: last() }, Date.now());
    expect(text).toContain('As snapshot 3 has it');
    expect(text).toContain('borgserver undo db01 --to-transaction NUMBER');
    expect(text).toMatch(new RegExp(`^${last()} +2\\d{3}-\\S+Z  .* ago +snapshot 3$`, 'm'));
  });

  test('is short if somebody asks for that', async () => {
    await filled();
    const kept = await keep();
    const all = await list(kept);
    const some = await list(kept, 1);
    expect(some).toEqual({ ...all, found: all.found.slice(0, 1) });
    const text = transactionsText('db01', kept, some, Date.now());
    expect(text).toContain(`… and ${all.count - 1} older transactions: --all`);
  });

  test('has nothing but what borg writes', async () => {
    await filled();
    const time = '2026-11-20T03:00:00.000000';
    const kept = await keep();
    const before = await listed(kept);
    appendFileSync(
      inIt(kept, 'transactions'),
      [
        `transaction 99, UTC time ${time} and more`,
        `transaction -99, UTC time ${time}`,
        `transaction ${'9'.repeat(11)}, UTC time ${time}`,
        'transaction 99, UTC time 2026-13-20T03:00:00.000000',
        `transaction 99, UTC time ${time}\r`,
        `transaction ٩, UTC time ${time}`,
        '\0'.repeat(1000),
        'transaction 99',
      ].join('\n'),
    );
    expect(await listed(kept)).toEqual(before);
    appendFileSync(inIt(kept, 'transactions'), `\ntransaction 98, UTC time ${time}\n`);
    const { found, present } = await list(kept);
    expect(found[0]).toEqual({ transaction: 98, at: Date.parse('2026-11-20T03:00:00Z'), snapshots: [], whole: false });
    expect(present).toBe(before[0]);
    expect(transactionsText('db01', kept, { found, present, count: 2 }, 0)).toMatch(/^98 .*compacted since$/m);
  });

  test('has each one once, with the time when it was committed', async () => {
    await filled();
    const kept = await keep();
    const line = (each: number, minute: number): string =>
      `transaction ${each}, UTC time 2026-11-20T03:0${minute}:00.000000\n`;
    writeFileSync(inIt(kept, 'transactions'), [line(1, 1), line(5, 2), line(9, 3), line(5, 4), line(8, 5)].join(''));
    const { found } = await list(kept);
    expect(found.map(({ transaction, at }) => [transaction, new Date(at).getUTCMinutes()])).toEqual([
      [8, 5],
      [5, 2],
      [1, 1],
    ]);
  });

  test('is none where no append-only client has written', async () => {
    await borg('init', '--encryption', 'none', repository);
    const kept = await keep();
    expect(await listTransactions(python, kept, 1)).toMatchObject({
      code: 'no-log',
      why: expect.stringContaining('not append-only'),
    });
  });
});
