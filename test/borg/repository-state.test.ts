import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lastBackup, type RepositoryState, readRepositoryState } from '../../src/borg/repository-state.ts';
import { readStatFields } from '../../src/system/proc.ts';
import { until } from '../e2e/harness/machine.ts';

let root: string;
let env: Record<string, string>;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'repository-state-'));
  env = {
    BORG_BASE_DIR: join(root, 'base'),
    BORG_PASSPHRASE: 'borgserver',
    BORG_HOST_ID: 'the-client@1',
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    BORG_SELFTEST: 'disabled',
    TZ: 'UTC',
  };
  writeFileSync(join(root, 'letter'), randomBytes(300_000));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const at = (name: string): string => join(root, name);
const borg = (...words: string[]) => execa('borg', words, { env, cwd: root });

const init = async (name: string, encryption = 'repokey-blake2', ...words: string[]): Promise<string> => {
  await borg('init', '--encryption', encryption, ...words, at(name));
  return at(name);
};

const read = (path: string): Extract<RepositoryState, { kind: 'repository' }> => {
  const state = readRepositoryState(path);
  if (state?.kind !== 'repository') throw new Error(`not a repository: ${JSON.stringify(state)}`);
  return state;
};

const fileOf = (path: string, kind: 'hints' | 'index'): string =>
  join(path, readdirSync(path).find((name) => name.startsWith(`${kind}.`)) ?? 'none');

/** What borg itself says, with the key. */
const info = async (path: string) => {
  const { cache, repository, encryption } = JSON.parse((await borg('info', '--json', path)).stdout);
  return {
    ...{ id: repository.id, encryption: encryption.mode },
    modified: Date.parse(`${repository.last_modified}Z`),
    chunks: cache.stats.total_unique_chunks,
    size: cache.stats.unique_csize,
  };
};

const bytesOf = async (path: string): Promise<number> =>
  Number((await execa('du', ['-sb', join(path, 'data')])).stdout.split('\t')[0]);

describe('the state of a repository, read without its key', () => {
  test.each([
    'none',
    'authenticated',
    'authenticated-blake2',
    'keyfile',
    'keyfile-blake2',
    'repokey',
    'repokey-blake2',
  ])('tells how it is encrypted: %s', async (encryption) => {
    const path = await init(`as-${encryption}`, encryption);
    expect(read(path)).toMatchObject({ encryption, objects: 1, nested: [], locks: [] });
    expect(read(path).config.hasKey).toBe(!/none|keyfile/.test(encryption));
    await borg('create', `${path}::first`, 'letter');
    expect(read(path).encryption).toBe(encryption);
    expect((await info(path)).encryption).toBe(encryption);
  });

  test('says of a fresh one that it has no archive', async () => {
    const path = await init('fresh', 'repokey', '--storage-quota', '20M', '--append-only');
    expect(read(path).config).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      segmentsPerDir: 1000,
      appendOnly: true,
      quota: 20_000_000,
      hasKey: true,
    });
    expect(lastBackup(read(path))).toBeNull();
  });

  test('agrees with borg info and du: several archives, one deleted, compacted', async () => {
    const path = await init('several');
    for (const archive of ['first', 'second', 'third']) {
      writeFileSync(at('letter'), randomBytes(300_000));
      await borg('create', `${path}::${archive}`, 'letter');
      await agrees(path);
    }
    await borg('delete', `${path}::second`);
    expect(read(path).encryption).toBe('repokey-blake2');
    await borg('compact', path);
    await agrees(path);
  });

  test('agrees with borg info and du where there are 100,000 chunks, also when all are deleted and not compacted', async () => {
    const path = await init('large');
    writeFileSync(at('random'), randomBytes(25_600_000));
    await borg('create', '--compression', 'none', '--chunker-params', 'fixed,256', `${path}::first`, 'random');
    expect(read(path).objects).toBeGreaterThan(100_000);
    await agrees(path);
    const used = read(path).bytes ?? 0;
    await borg('delete', `${path}::first`);
    // Now the shadow index makes megabytes of the hints.
    expect(read(path).bytes).toBeGreaterThanOrEqual(used);
    expect(lastBackup(read(path))).toBeNull();
  });

  test("takes the client's next archive for a backup, but not a compaction without the key", async () => {
    const path = await init('compacted');
    await borg('create', `${path}::first`, 'letter');
    await borg('create', `${path}::second`, 'letter');
    await borg('delete', `${path}::first`);
    const before = lastBackup(read(path));
    const committed = read(path).committed ?? 0;
    await execa('borg', ['compact', path], { env: { ...env, BORG_PASSPHRASE: '', BORG_BASE_DIR: at('server') } });
    expect(read(path).committed).toBeGreaterThan(committed);
    expect(lastBackup(read(path))).toBe(before);
    await borg('create', `${path}::third`, 'letter');
    expect(lastBackup(read(path))).toBeGreaterThan(before ?? 0);
  });

  test('takes neither a check, nor a compaction, a prune, a rename, a recreate or a new passphrase for a backup', async () => {
    const path = await init('only-checked');
    await borg('create', `${path}::first`, 'letter');
    await borg('create', `${path}::unchanged`, 'letter');
    const last = lastBackup(read(path));
    expect(last).not.toBeNull();
    const changes: readonly (readonly string[])[] = [
      ['check', path],
      ['check', '--repair', path],
      ['compact', path],
      ['compact', path],
      ['rename', `${path}::unchanged`, 'renamed'],
      ['recreate', '--comment', 'a note', `${path}::renamed`],
      ['compact', '--threshold', '1', path],
      ['prune', '--keep-last', '1', path],
      ['key', 'change-passphrase', path],
      ['check', path],
    ];
    for (const words of changes) {
      const sure = { BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: 'YES', BORG_NEW_PASSPHRASE: env.BORG_PASSPHRASE ?? '' };
      await execa('borg', words, { env: { ...env, ...sure }, cwd: root });
      expect(lastBackup(read(path)), words.join(' ')).toBeLessThanOrEqual(last ?? 0);
    }
    await borg('create', `${path}::second`, 'letter');
    expect(lastBackup(read(path))).toBeGreaterThan(last ?? 0);
  });

  test('does not take the checkpoint of an interrupted backup for a backup', async () => {
    const path = await init('checkpoint');
    await borg('create', `${path}::first`, 'letter');
    const before = read(path);
    const words = ['create', '--checkpoint-interval', '1', `${path}::second`, '-'];
    const create = spawn('borg', words, { env: { ...process.env, ...env }, cwd: root });
    create.stdin.on('error', () => {});
    // Until borg has begun what comes after the checkpoint, and the disk has it.
    const goesOn = (): boolean => {
      const transaction = Number(/\d+$/.exec(fileOf(path, 'index'))?.[0]);
      const next = join(path, 'data/0', String(transaction + 1));
      return read(path).committed !== before.committed && existsSync(next) && statSync(next).size > 1000;
    };
    // It stands still while it is looked at: the next checkpoint may be just about to be made. A process that waits for the disk stops later.
    const standsStill = (): boolean => readStatFields(create.pid ?? 0)[0] === 'T';
    for (;;) {
      create.kill('SIGSTOP');
      await until('borg to stand still', standsStill);
      if (goesOn()) break;
      create.kill('SIGCONT');
      create.stdin.write(randomBytes(3_000_000));
      await setTimeout(100);
    }
    create.kill('SIGKILL');
    await once(create, 'exit');
    await borg('break-lock', path);
    expect(lastBackup(read(path))).toBe(lastBackup(before));
  });

  test('tells, after an interrupted backup, the last complete one, and who holds the lock', async () => {
    const path = await init('interrupted');
    await borg('create', `${path}::first`, 'letter');
    const before = read(path);
    const nonce = readFileSync(join(path, 'nonce'), 'utf8');
    const create = spawn('borg', ['create', `${path}::second`, '-'], { env: { ...process.env, ...env }, cwd: root });
    create.stdin.on('error', () => {});
    create.stdin.write(randomBytes(20_000_000));
    await until('the backup to write', () => readFileSync(join(path, 'nonce'), 'utf8') !== nonce);
    expect(read(path).locks).toEqual([
      { kind: 'exclusive', host: 'the-client@1', pid: create.pid, since: expect.any(Number) },
    ]);
    create.kill('SIGKILL');
    await once(create, 'exit');
    const after = read(path);
    expect(after.locks).toHaveLength(1);
    expect(after.written).toBeGreaterThan(before.written ?? 0);
    expect(lastBackup(after)).toBe(lastBackup(before));
    expect(after).toMatchObject({ bytes: before.bytes, objects: before.objects, encryption: 'repokey-blake2' });
    await borg('break-lock', path);
    expect(read(path).locks).toEqual([]);
  });

  test('tells nothing from hints that are cut off or of another version, but still what the index says', async () => {
    const path = await init('damaged');
    await borg('create', `${path}::first`, 'letter');
    const { objects } = read(path);
    const hints = fileOf(path, 'hints');
    const whole = readFileSync(hints);
    for (let length = 0; length < whole.indexOf('shadow_index'); length += 1) {
      truncateSync(hints, length);
      const { bytes } = read(path);
      // The number itself may stand before the cut.
      if (bytes !== null) expect(length).toBeGreaterThan(whole.indexOf('storage_quota_use'));
      writeFileSync(hints, whole);
    }
    truncateSync(hints, 20);
    expect(read(path)).toMatchObject({ bytes: null, objects });
    writeFileSync(hints, Buffer.concat([whole.subarray(0, 9), Buffer.of(3), whole.subarray(10)]));
    expect(whole[9]).toBe(2);
    expect(read(path)).toMatchObject({ bytes: null, objects });
    rmSync(hints);
    expect(read(path)).toMatchObject({ bytes: null, objects });
    truncateSync(fileOf(path, 'index'), 10);
    expect(read(path)).toMatchObject({ bytes: null, objects: null, config: { segmentsPerDir: 1000 } });
  });

  test('survives hints that promise more than there is, and nonsense of any kind', async () => {
    const path = await init('nonsense');
    const hints = fileOf(path, 'hints');
    const name = (text: string) => [0xa0 | text.length, ...Buffer.from(text)];
    for (const bytes of [
      [0xdf, 0xff, 0xff, 0xff, 0xff],
      [0x81, ...name('segments'), 0xdf, 0xff, 0xff, 0xff, 0xff, 1, 1],
      [0x81, ...name('storage_quota_use'), 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      [0x81, ...name('storage_quota_use'), 0xff],
      [0x81, ...name('storage_quota_use'), 0xc0],
      [...randomBytes(2000)],
      Array.from({ length: 2_000_000 }, () => 0x81),
    ]) {
      writeFileSync(hints, Buffer.from(bytes));
      expect(read(path).bytes).toBeNull();
    }
    writeFileSync(fileOf(path, 'index'), randomBytes(5000));
    expect(read(path).objects).toBeNull();
    // A file of holes. If it counted, much of the disk would be kept free for it, and nobody could use that space.
    const header = Buffer.alloc(18);
    header.write('BORG_IDX');
    header.writeInt32LE(50_000_000, 8);
    header.writeInt32LE(100_000_000, 12);
    header.writeUInt16LE(0x08_20, 16);
    writeFileSync(fileOf(path, 'index'), header);
    truncateSync(fileOf(path, 'index'), 4_000_000_018);
    expect(read(path).objects).toBeNull();
  });

  test('finds the first object of a segment after the deletions in it', async () => {
    const path = await init('deleting');
    rmSync(fileOf(path, 'hints'));
    /** The first byte of the checksum is that of the type 'repokey'. */
    const entry = (tag: number, ...object: number[]): Buffer => {
      const bytes = Buffer.concat([Buffer.of(3, 0, 0, 0, 0, 0, 0, 0, tag), Buffer.alloc(32), Buffer.from(object)]);
      bytes.writeUInt32LE(bytes.length, 4);
      return bytes;
    };
    const [PUT, DELETE] = [0, 1];
    const segment = (...entries: Buffer[]): void =>
      writeFileSync(join(path, 'data/0/0'), Buffer.concat([Buffer.from('BORG_SEG'), ...entries]));
    segment(entry(DELETE), entry(DELETE), entry(PUT, 2));
    expect(read(path).encryption).toBe('none');
    segment(entry(DELETE));
    expect(read(path).encryption).toBeNull();
    // An entry of no size would be read for ever.
    segment(Buffer.of(3, 0, 0, 0, 0, 0, 0, 0, DELETE));
    expect(read(path).encryption).toBeNull();
    segment(entry(PUT, 99));
    expect(read(path).encryption).toBeNull();
  });

  test('follows no link, and waits for no pipe', async () => {
    const outside = await init('outside');
    const path = await init('linked');
    for (const kind of ['hints', 'index'] as const) {
      const target = fileOf(outside, kind);
      const own = fileOf(path, kind);
      rmSync(own);
      symlinkSync(target, own);
    }
    rmSync(join(path, 'nonce'));
    await execa('mkfifo', [join(path, 'nonce')]);
    rmSync(join(path, 'data'), { recursive: true });
    symlinkSync(join(outside, 'data'), join(path, 'data'));
    expect(read(path)).toMatchObject({ bytes: null, objects: null, committed: null, written: null, encryption: null });
    rmSync(join(path, 'config'));
    symlinkSync(join(outside, 'config'), join(path, 'config'));
    expect(readRepositoryState(path)).toEqual({ kind: 'foreign', nested: [] });
    symlinkSync(outside, at('link'));
    expect(readRepositoryState(at('link'))).toBeNull();
  });

  test('tells an empty folder, foreign files, and repositories inside a folder', async () => {
    mkdirSync(at('empty'));
    expect(readRepositoryState(at('empty'))).toEqual({ kind: 'empty' });
    mkdirSync(at('foreign'));
    writeFileSync(at('foreign/.bashrc'), '');
    mkdirSync(at('foreign/data'));
    writeFileSync(at('foreign/config'), '[repository]\nversion = 2\n');
    expect(readRepositoryState(at('foreign'))).toEqual({ kind: 'foreign', nested: [] });
    mkdirSync(at('several-clients'));
    for (const name of ['one', 'two', 'a/b/c/four', 'a/b/c/d/five']) {
      mkdirSync(dirname(at(`several-clients/${name}`)), { recursive: true });
      await init(`several-clients/${name}`);
    }
    expect(readRepositoryState(at('several-clients'))).toEqual({
      kind: 'foreign',
      nested: ['a/b/c/four', 'one', 'two'],
    });
    expect(readRepositoryState(at('absent'))).toBeNull();
  });
});

/** What is told without the key is what borg tells with it. */
const agrees = async (path: string): Promise<void> => {
  const [told, state] = [await info(path), read(path)];
  expect(state.config.id).toBe(told.id);
  // The manifest is an object, too, and no chunk.
  expect(state.objects).toBe(told.chunks + 1);
  // Each entry has a header of 41 bytes; the manifest is small.
  const entries = told.size + 41 * told.chunks;
  expect(state.bytes).toBeGreaterThan(entries);
  expect(state.bytes).toBeLessThan(entries * 1.05 + 5000);
  expect(state.bytes).toBeLessThan(await bytesOf(path));
  // The archive's own time, in whole seconds, lies between the beginning and the commit.
  expect(lastBackup(state)).toBeLessThan(told.modified + 60_000);
  expect(state.committed).toBeGreaterThanOrEqual(told.modified);
};
