import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { clearUndos, exchange, isUnused, preparePutBack, removeTree, treeOf } from '../../src/snapshots/put-back.ts';
import { beginSnapshot, listSnapshots, type Snapshot } from '../../src/snapshots/store.ts';
import { takeSnapshot } from '../../src/snapshots/take.ts';
import { startOf } from '../../src/system/proc.ts';
import { PROJECT, until } from '../e2e/harness/machine.ts';

const UID = 30_111;
const ADMINS = 30_011;
const means = { python: findBorg().python, hostId: 'a-server@1' };
const FILES = ['one', 'two', 'three'];

// What is shipped with the program is looked for beside it.
process.argv[1] = join(PROJECT, 'src/main.ts');

let root: string;
let repos: string;
let files: string;
let count = 0;
let name: string;
let snapshots: string;
let above: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'put-back-'));
  chmodSync(root, 0o755);
  [repos, files] = [join(root, 'repos'), join(root, 'files')];
  for (const path of [repos, files, join(root, 'base'), join(root, 'undo')]) mkdirSync(path);
  chownSync(join(root, 'base'), UID, UID);
  for (const each of FILES) writeFileSync(join(files, each), randomBytes(100_000));
});
afterAll(() => rmSync(root, { recursive: true }));

beforeEach(() => {
  count += 1;
  name = `web${count}`;
  snapshots = join(root, `snapshots-${name}`);
  above = join(root, 'undo', `${name}.1-1`);
  folder(name);
});

const folder = (path: string): void => {
  mkdirSync(join(repos, path));
  chownSync(join(repos, path), UID, UID);
  chmodSync(join(repos, path), 0o2770);
};
const source = () => ({ repos, path: name, uid: UID, gid: UID, admins: ADMINS });
const repository = () => join(repos, name);
const inIt = (path: string) => join(repository(), path);
const environment = (base: string) => ({
  ...{ LOGNAME: 'web', BORG_BASE_DIR: base, BORG_HOST_ID: means.hostId, BORG_SELFTEST: 'disabled' },
  ...{ BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' },
  BORG_PASSPHRASE: 'former',
});
const borgWith = (env: Record<string, string>, ...words: string[]) =>
  execa('borg', ['--umask', '0007', ...words], {
    ...{ uid: UID, gid: UID, cwd: files, env: { ...environment(join(root, 'base')), ...env }, stdin: 'pipe' },
  });
const borg = (...words: string[]) => borgWith({}, ...words);
const init = (encryption = 'none') => borg('init', '--encryption', encryption, repository());
const create = (archive: string) => borg('create', `${repository()}::${archive}`, archive);
const destroy = async (...archives: string[]): Promise<void> => {
  await borg('delete', repository(), ...archives);
  await borg('compact', '--threshold', '0', repository());
};

const keep = async (): Promise<Snapshot> => {
  const unfinished = beginSnapshot(snapshots, Date.now());
  const taken = await takeSnapshot(means, source(), unfinished.into, new AbortController().signal);
  if ('code' in taken) throw new Error(taken.why);
  return unfinished.finish({});
};
const prepare = (snapshot: Snapshot) => preparePutBack(means, snapshot, above, source());
type How = { wait?: number; keepKey?: boolean; mayGoOn?: () => Promise<boolean> };
const exchangeNow = ({ wait = 0, keepKey = false, mayGoOn = async () => true }: How = {}) =>
  exchange(means, source(), { above, snapshots, wait, keepKey }, mayGoOn);
const putBack = async (snapshot: Snapshot, how: How = {}) => {
  expect(await prepare(snapshot)).toEqual({ segments: expect.any(Number) });
  return exchangeNow(how);
};

/** What a client finds that has not seen the repository before: archives, each compared, after borg has looked at every byte. */
const archivesOf = async (path = repository()): Promise<string[]> => {
  const base = mkdtempSync(join(root, 'base-'));
  chownSync(base, UID, UID);
  const options = { uid: UID, gid: UID, env: environment(base), cwd: '/' };
  await execa('borg', ['--umask', '0007', 'check', '--verify-data', path], options);
  const { stdout } = await execa('borg', ['--umask', '0007', 'list', '--short', path], options);
  const archives = stdout.split('\n').filter((each) => each !== '');
  for (const each of archives) {
    const found = execFileSync('borg', ['extract', '--stdout', `${path}::${each}`], options);
    expect(found.equals(readFileSync(join(files, each))), each).toBe(true);
  }
  rmSync(base, { recursive: true });
  return archives;
};
const nonce = (path = repository()): string => readFileSync(join(path, 'nonce'), 'latin1');

describe('a repository is put back', () => {
  test('every byte of it, though it was deleted and compacted; and the former state can be put back again', async () => {
    await init();
    for (const each of ['one', 'two']) await create(each);
    const first = await keep();
    await destroy('one', 'two');
    await create('three');
    const second = await keep();
    expect(await putBack(first)).toEqual({ former: true });
    expect(await archivesOf()).toEqual(['one', 'two']);
    expect(await archivesOf(treeOf(above)).catch(() => 'out of reach')).toBe('out of reach');
    expect(await removeTree(means, above, 'all')).toBe(true);
    expect(existsSync(above)).toBe(false);
    await borg('delete', '--cache-only', repository());
    rmSync(join(root, 'base/.config/borg/security'), { recursive: true });
    await create('three');
    expect(await archivesOf()).toEqual(['one', 'two', 'three']);
    expect(await putBack(second)).toEqual({ former: true });
    expect(await archivesOf()).toEqual(['three']);
  });

  test('with the owner and the modes of a repository, and what snapshots share stays as it is', async () => {
    await init();
    await create('one');
    await putBack(await keep());
    const found = readdirSync(repository(), { recursive: true, encoding: 'utf8' }).map((each) => {
      const { uid, gid, mode } = lstatSync(inIt(each));
      const kind = /^(index|hints|integrity)\.|data\/\d+\/\d+$/.test(each) ? 'kept' : 'own';
      return { kind, uid, gid, mode: mode & 0o7777, isFolder: (mode & 0o40_000) !== 0 };
    });
    expect(found.filter(({ kind }) => kind === 'kept').length).toBeGreaterThan(3);
    for (const { kind, isFolder, ...rest } of found)
      expect(rest).toEqual(
        kind === 'kept' ? { uid: 0, gid: UID, mode: 0o440 } : { uid: UID, gid: UID, mode: isFolder ? 0o2770 : 0o660 },
      );
    expect(lstatSync(repository())).toMatchObject({ uid: UID, gid: UID });
    expect(lstatSync(repository()).mode & 0o7777).toBe(0o2770);
  });

  test('also where a segment has as many names as a file may have', async () => {
    await init();
    await create('one');
    const kept = await keep();
    const folder = join(kept.path, 'repository/data/0');
    const [segment = ''] = readdirSync(folder).sort(
      (one, other) => lstatSync(join(folder, other)).size - lstatSync(join(folder, one)).size,
    );
    const many = mkdtempSync(join(root, 'many-'));
    const script = 'import os, sys\nfor n in range(1 << 20): os.link(sys.argv[1], "%s/%d" % (sys.argv[2], n))';
    const { stderr } = await execa(means.python, ['-c', script, join(folder, segment), many], { reject: false });
    expect(stderr).toContain('Too many links');
    await putBack(kept);
    rmSync(many, { recursive: true });
    expect(await archivesOf()).toEqual(['one']);
    expect(lstatSync(inIt(`data/0/${segment}`))).toMatchObject({ uid: UID, gid: UID, nlink: 1 });
  });

  test('where its folder is gone, and where it is empty', async () => {
    await init();
    await create('one');
    const kept = await keep();
    rmSync(repository(), { recursive: true });
    expect(await putBack(kept)).toEqual({ former: false });
    expect(await archivesOf()).toEqual(['one']);
    await removeTree(means, above, 'all');
    rmSync(repository(), { recursive: true });
    folder(name);
    expect(await putBack(kept)).toEqual({ former: true });
    expect(await archivesOf()).toEqual(['one']);
  });
});

describe('a repository goes back to a transaction', () => {
  const lastSegment = (): number =>
    Math.max(...readdirSync(inIt('data'), { recursive: true, encoding: 'utf8' }).map((each) => Number(basename(each))));
  const lines = (path: string): string[] => readFileSync(join(path, 'transactions'), 'utf8').trim().split('\n');
  const prepareAt = (snapshot: Snapshot, transaction: number) =>
    preparePutBack(means, snapshot, above, source(), transaction);

  test('every byte of it, without an index, and the list of its transactions ends there; and that can be undone', async () => {
    await borg('init', '--encryption', 'repokey-blake2', '--append-only', repository());
    for (const each of ['one', 'two']) await create(each);
    const [transaction, known] = [lastSegment(), lines(repository())];
    await borg('delete', repository(), 'one', 'two');
    await create('three');
    const [kept, before] = [await keep(), nonce()];
    expect(await prepareAt(kept, transaction)).toEqual({ segments: transaction + 1 });
    expect(readdirSync(treeOf(above)).sort()).toEqual(['README', 'config', 'data', 'nonce', 'transactions']);
    expect(lines(treeOf(above))).toEqual(known);
    expect(lstatSync(join(treeOf(above), 'transactions'))).toMatchObject({ uid: UID, gid: UID });
    expect(await exchangeNow()).toEqual({ former: true });
    expect(nonce() >= before).toBe(true);
    expect(await archivesOf()).toEqual(['one', 'two']);
    expect(await removeTree(means, above, 'all')).toBe(true);
    expect(await putBack(kept)).toEqual({ former: true });
    expect(await archivesOf()).toEqual(['three']);
  });

  test('only if it is whole: else nothing is made', async () => {
    await init();
    for (const each of ['one', 'two']) await create(each);
    const transaction = lastSegment();
    await destroy('one');
    expect(await prepareAt(await keep(), transaction)).toMatchObject({ code: 'compacted' });
    expect(existsSync(above)).toBe(false);
  });

  test('without a folder for segments that has none left', async () => {
    await init();
    await borg('config', repository(), 'segments_per_dir', '4');
    await create('one');
    const transaction = lastSegment();
    for (const each of ['two', 'three']) await create(each);
    await prepareAt(await keep(), transaction);
    const all = readdirSync(inIt('data')).length;
    expect(readdirSync(join(treeOf(above), 'data')).length).toBeLessThan(all);
    await exchangeNow();
    expect(await archivesOf()).toEqual(['one']);
  });
});

describe('the counter of the encryption', () => {
  /** The present one is this, an undo to the first state is done, and this is then the counter. */
  const counterAfter = async (text: string): Promise<string> => {
    rmSync(inIt('nonce'), { recursive: true, force: true });
    writeFileSync(inIt('nonce'), text);
    chownSync(inIt('nonce'), UID, UID);
    expect(await putBack(first)).toEqual({ former: true });
    await removeTree(means, above, 'all');
    return nonce();
  };
  let first: Snapshot;
  beforeEach(async () => {
    await init('repokey-blake2');
    await create('one');
    first = await keep();
    expect(nonce() < '0000000f00000000').toBe(true);
  });

  test('does not go down, and stays where it is if nobody has touched it', async () => {
    expect(await counterAfter('0000000f000abcde')).toBe('0000000f000abcde');
    await keep();
    expect(await counterAfter('0000000f000abcdf')).toBe('0000000f000abcdf');
  });

  test('that was lowered, or is none any more, goes far beyond every one that is known', async () => {
    await counterAfter('0000000f000abcde');
    await keep();
    expect(await counterAfter('0000000f000abcdd')).toBe('0001000f000abcde');
    for (const [turn, text] of ['', 'odd', '-000000000000001', '00000000000000001'].entries()) {
      await keep();
      expect(await counterAfter(text)).toBe(`000${turn + 2}000f000abcde`);
    }
  });

  test('that was raised to its end goes far beyond every honest one, again and again, and what is counted from there is honest', async () => {
    await counterAfter('0000000f000abcde');
    await keep();
    expect(await counterAfter('fffffffffffffffe')).toBe('0001000f000abcde');
    await keep();
    // Just below what counts as spent.
    expect(await counterAfter('0fffffffffffffff')).toBe('0fffffffffffffff');
    await keep();
    expect(await counterAfter('fffffffffffffffe')).toBe('1000ffffffffffff');
    await keep();
    expect(await counterAfter('100100ffffffffff')).toBe('100100ffffffffff');
  });

  test.each(['a folder', 'a pipe that somebody writes to', "somebody else's file"])('may be %s', async (what) => {
    const before = nonce();
    rmSync(inIt('nonce'));
    if (what === 'a folder') mkdirSync(inIt('nonce'));
    else if (what === 'a pipe that somebody writes to') execFileSync('mkfifo', [inIt('nonce')]);
    else writeFileSync(inIt('nonce'), '0000000f000abcde', { mode: 0o600 });
    const writer = what.startsWith('a pipe') ? openSync(inIt('nonce'), 'r+') : null;
    expect(await putBack(first)).toEqual({ former: true });
    if (writer !== null) closeSync(writer);
    expect(BigInt(`0x${nonce()}`)).toBe(BigInt(`0x${before}`) + (1n << 48n));
  });
});

describe('the key', () => {
  const opens = async (passphrase: string): Promise<boolean> => {
    const base = mkdtempSync(join(root, 'base-'));
    chownSync(base, UID, UID);
    const env = { ...environment(base), BORG_PASSPHRASE: passphrase };
    return (
      (await execa('borg', ['list', repository()], { uid: UID, gid: UID, env, cwd: '/', reject: false })).exitCode === 0
    );
  };

  test('comes back, or the present one stays if somebody asks for that', async () => {
    await init('repokey-blake2');
    await create('one');
    const kept = await keep();
    await borgWith({ BORG_NEW_PASSPHRASE: 'present' }, 'key', 'change-passphrase', repository());
    expect(await opens('present')).toBe(true);
    await putBack(kept, { keepKey: true });
    expect([await opens('present'), await opens('former')]).toEqual([true, false]);
    await removeTree(means, above, 'all');
    await putBack(kept);
    expect([await opens('present'), await opens('former')]).toEqual([false, true]);
  });

  test('of another repository does not stay', async () => {
    await init('repokey-blake2');
    await create('one');
    const kept = await keep();
    await execa('rm', ['-rf', repository()]);
    folder(name);
    await init('repokey-blake2');
    expect(await putBack(kept, { keepKey: true })).toMatchObject({ code: 'no-such-key' });
    expect(isUnused(above)).toBe(true);
    expect(await opens('former')).toBe(true);
  });

  test('that an append-only client has replaced stays where it was put', async () => {
    await init('repokey-blake2');
    await create('one');
    const kept = await keep();
    const former = inIt('former-keys');
    mkdirSync(former);
    writeFileSync(join(former, '2026-11-20T03-00-00Z-01'), 'a key');
    writeFileSync(join(former, 'odd'), 'no key');
    execFileSync('chown', ['-R', `${UID}:${UID}`, former]);
    // The account may give a name to a file that it cannot read.
    writeFileSync(join(former, '2026-11-20T03-00-00Z-02'), 'a secret', { mode: 0o600 });
    await putBack(kept);
    expect(readdirSync(former)).toEqual(['2026-11-20T03-00-00Z-01']);
    expect(lstatSync(join(former, '2026-11-20T03-00-00Z-01')).nlink).toBe(1);
    expect(readFileSync(join(former, '2026-11-20T03-00-00Z-01'), 'utf8')).toBe('a key');
    expect(lstatSync(former)).toMatchObject({ uid: UID, gid: UID });
    // What borg would not make is left, out of reach.
    expect(await removeTree(means, above, 'all')).toBe(false);
    expect(readdirSync(join(treeOf(above), 'former-keys')).sort()).toEqual(['2026-11-20T03-00-00Z-02', 'odd']);
    expect(lstatSync(above).mode & 0o777).toBe(0o700);
  });
});

describe('nobody else', () => {
  const hold = (script: string) =>
    execa(means.python, ['-c', script, inIt('lock')], { uid: UID, gid: UID, env: environment(root) });
  const LOCK = `
import sys, time
from borg.locking import Lock
lock = Lock(sys.argv[1], exclusive=EXCLUSIVE).acquire()
print('held', flush=True)
sys.stdin.read()
`;

  test.each(['True', 'False'])('may use it meanwhile (exclusive: %s), and it is waited for', async (exclusive) => {
    await init();
    await create('one');
    const kept = await keep();
    const holder = hold(LOCK.replace('EXCLUSIVE', exclusive));
    const iterator = holder[Symbol.asyncIterator]();
    await iterator.next();
    expect(await putBack(kept)).toMatchObject({ code: 'locked' });
    expect(isUnused(above)).toBe(true);
    await removeTree(means, above, 'all');
    await prepare(kept);
    const waiting = exchangeNow({ wait: 100 });
    holder.kill('SIGKILL');
    expect(await waiting).toEqual({ former: true });
    expect(await archivesOf()).toEqual(['one']);
    await holder.catch(() => {});
  });

  test('gets its lock while it is asked whether to go on, and the answer no changes nothing', async () => {
    await init();
    await create('one');
    const kept = await keep();
    let locked = false;
    const result = await putBack(kept, {
      mayGoOn: async () => {
        locked = existsSync(inIt('lock.exclusive'));
        return false;
      },
    });
    expect([result, locked, isUnused(above), existsSync(inIt('lock.exclusive'))]).toEqual([
      expect.objectContaining({ code: 'stopped' }),
      true,
      true,
      false,
    ]);
  });

  test('is kept waiting if it cannot be asked whether to go on', async () => {
    await init();
    await create('one');
    const kept = await keep();
    const asking = putBack(kept, { mayGoOn: () => Promise.reject(new Error('the server has gone')) });
    await expect(asking).rejects.toThrow('the server has gone');
    expect([isUnused(above), existsSync(inIt('lock.exclusive'))]).toEqual([true, false]);
  });

  test.each(['a file', 'a list of readers that is a folder'])('keeps the lock for ever with %s', async (what) => {
    await init();
    await create('one');
    const kept = await keep();
    if (what === 'a file') writeFileSync(inIt('lock.exclusive'), '');
    else mkdirSync(inIt('lock.roster'));
    expect(await putBack(kept)).toEqual({ former: true });
  });

  test('puts anything in its place meanwhile', async () => {
    await init();
    await create('one');
    const kept = await keep();
    const result = await putBack(kept, {
      mayGoOn: async () => {
        execFileSync('mv', [repository(), `${repository()}.moved`]);
        folder(name);
        writeFileSync(inIt('mine'), '');
        return true;
      },
    });
    expect(result).toMatchObject({ code: 'changed' });
    expect(isUnused(above)).toBe(true);
    expect(readdirSync(repository())).toEqual(['mine']);
  });

  test('finds a link followed in its place, or a file or a folder of somebody else replaced', async () => {
    await init();
    await create('one');
    const kept = await keep();
    execFileSync('mv', [repository(), `${repository()}.moved`]);
    for (const put of [
      () => symlinkSync(`${repository()}.moved`, repository()),
      () => writeFileSync(repository(), ''),
      () => mkdirSync(repository()),
    ]) {
      put();
      expect(await putBack(kept)).toMatchObject({ code: 'not-its-own' });
      expect(isUnused(above)).toBe(true);
      for (const each of [above, repository()]) rmSync(each, { recursive: true });
    }
  });
});

test('what was committed just when its session was ended, and is in no snapshot, is not removed', async () => {
  await init();
  await create('one');
  const first = await keep();
  const before = readdirSync(repository());
  await create('two');
  // borg writes the commit first, and then the index and what belongs to it.
  for (const each of readdirSync(repository()))
    if (!before.includes(each) && /^(index|hints|integrity)\./.test(each)) rmSync(inIt(each));
  await putBack(first);
  expect(await removeTree(means, above, 'all')).toBe(false);
  execFileSync('chmod', ['711', above]);
  expect(await archivesOf(treeOf(above))).toEqual(['one', 'two']);
});

test('a snapshot of an account whose group was another one is not opened to the new one', async () => {
  await init();
  await create('one');
  const kept = await keep();
  const result = await preparePutBack(means, kept, above, { ...source(), gid: UID + 1 });
  expect(result).toMatchObject({ code: 'other-account' });
  expect(existsSync(above)).toBe(false);
});

test('what is left of an undo is removed only if it never was a repository, and not while it is used', async () => {
  await init();
  await create('one');
  const kept = await keep();
  const state = join(root, `state-${name}`);
  above = join(state, 'undo', `${name}.999999999-1`);
  mkdirSync(join(state, 'undo'), { recursive: true });
  await prepare(kept);
  const own = join(state, 'undo', `${name}.${process.pid}-${startOf(process.pid)?.start}`);
  mkdirSync(own);
  const locked = execa('flock', [above, 'sh', '-c', 'echo held; cat'], { stdin: 'pipe' });
  await locked[Symbol.asyncIterator]().next();
  expect(await clearUndos(means, state)).toEqual([above]);
  expect(existsSync(treeOf(above))).toBe(true);
  locked.stdin.end();
  await locked;
  expect(await clearUndos(means, state)).toEqual([]);
  expect(readdirSync(join(state, 'undo'))).toEqual([basename(own)]);
  await prepare(kept);
  await exchangeNow();
  expect(await clearUndos(means, state)).toEqual([above]);
  expect(await archivesOf(treeOf(above)).catch(() => 'out of reach')).toBe('out of reach');
  expect(existsSync(join(treeOf(above), 'config'))).toBe(true);
});

const KILLED = join(import.meta.dirname, 'killed.py');

/** Its process is killed at its n-th call that changes something, if it makes so many. */
const killed = (step: number, ...words: string[]) =>
  execa(means.python, ['-I', KILLED, join(PROJECT, 'image'), String(step), ...words], { reject: false, input: 'go\n' });

test('a removal that was cut off anywhere is done by the next one', async () => {
  await init();
  const kept = await keep();
  let cuts = 0;
  for (;;) {
    await prepare(kept);
    const { signal } = await killed(cuts + 1, 'remove', above, 'unused');
    expect(!existsSync(above) || (await removeTree(means, above, 'unused'))).toBe(true);
    expect(existsSync(above)).toBe(false);
    if (signal !== 'SIGKILL') break;
    cuts += 1;
  }
  expect(cuts).toBeGreaterThan(3);
});

test('whenever it is killed, the repository is the former one or the new one, whole, and the other one is not lost', async () => {
  await init();
  await create('one');
  const first = await keep();
  await destroy('one');
  await create('two');
  const { ino } = lstatSync(repository());
  const numbers = [`${UID}`, `${UID}`, `${ADMINS}`];
  const preparing = (step: number) =>
    killed(step, 'prepare', join(first.path, 'repository'), above, ...numbers, 'undo');
  const exchanging = (step: number) =>
    killed(step, 'exchange', repos, name, above, snapshots, means.hostId, ...numbers, '0', 'no');
  const seen: string[] = [];

  for (let step = 1; (await preparing(step)).signal === 'SIGKILL'; step += 1) {
    expect(lstatSync(repository()).ino).toBe(ino);
    seen.push('preparing');
    execFileSync('rm', ['-rf', above]);
  }
  for (let step = 1; ; step += 1) {
    execFileSync('rm', ['-rf', above]);
    await prepare(first);
    const { signal, stdout } = await exchanging(step);
    const isDone = lstatSync(repository()).ino !== ino;
    expect(lstatSync(isDone ? treeOf(above) : repository()).ino).toBe(ino);
    // Only what never was a repository may be removed.
    if (isDone) expect(isUnused(above)).toBe(false);
    seen.push(`exchanging: ${isDone ? 'the new one' : 'the former one'}`);
    if (isDone) {
      expect(await archivesOf()).toEqual(['one']);
      execFileSync('mv', [repository(), `${repository()}.${step}`]);
      execFileSync('mv', [treeOf(above), repository()]);
    }
    if (signal !== 'SIGKILL') {
      expect(stdout).toContain('{"former": true}');
      break;
    }
  }
  expect(await archivesOf()).toEqual(['two']);
  expect([...new Set(seen)]).toEqual(['preparing', 'exchanging: the former one', 'exchanging: the new one']);
});

test('a full disk changes nothing', async () => {
  const disk = join(root, 'disk');
  mkdirSync(disk);
  await execa('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
  try {
    [repos, snapshots, above] = [join(disk, 'repos'), join(disk, 'snapshots'), join(disk, 'web.1-1')];
    mkdirSync(repos);
    folder(name);
    // The counter of the encryption has to be written.
    await init('repokey-blake2');
    await create('one');
    const kept = await keep();
    await execa('dd', ['if=/dev/zero', `of=${disk}/fill`, 'bs=4k'], { reject: false });
    await until('the disk to be full', () => {
      try {
        appendFileSync(join(disk, 'more'), randomBytes(4096));
        return false;
      } catch {
        return true;
      }
    });
    expect(await prepare(kept)).toMatchObject({ code: 'no-space', why: 'No space left on device' });
    expect(existsSync(above)).toBe(false);
    rmSync(join(disk, 'fill'));
    await prepare(kept);
    await execa('dd', ['if=/dev/zero', `of=${disk}/fill`, 'bs=4k'], { reject: false });
    const full = await exchangeNow();
    expect(full).toMatchObject({ code: expect.stringMatching(/^(no-space|no-lock)$/) });
    expect(isUnused(above)).toBe(true);
    rmSync(join(disk, 'fill'));
    expect(await archivesOf()).toEqual(['one']);
  } finally {
    repos = join(root, 'repos');
    await execa('umount', ['--lazy', disk]);
  }
});

test('all snapshots of before and after are still there', async () => {
  await init();
  await create('one');
  const first = await keep();
  await create('two');
  await keep();
  await putBack(first);
  expect(listSnapshots(snapshots)).toHaveLength(2);
});
