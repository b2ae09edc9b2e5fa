import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Account, stateOf } from '../../src/accounts/account.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { findBorg } from '../../src/borg/interpreter.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { requireSettings } from '../../src/settings.ts';
import type { Writer } from '../../src/snapshots/change-record.ts';
import { createKeeper } from '../../src/snapshots/keeper.ts';
import type { Keeper } from '../../src/snapshots/kept-states.ts';
import { listSnapshots, snapshotsOf } from '../../src/snapshots/store.ts';
import { PROJECT, until } from '../e2e/harness/machine.ts';
import { settle, standingClock } from '../sessions/standing-clock.ts';

const UID = 30_201;
const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];

const FOREVER = new AbortController().signal;

let root: string;
let places: Places;
let time: ReturnType<typeof standingClock>;
let keeper: Keeper;
let lines: { readonly level: string; readonly repository?: string; readonly message: string }[];

// What is shipped with the program is looked for beside it.
process.argv[1] = join(PROJECT, 'src/main.ts');

const folder = (path: string): void => {
  mkdirSync(join(places.repos, path));
  chownSync(join(places.repos, path), UID, UID);
  chmodSync(join(places.repos, path), 0o2770);
};
const borg = (...words: string[]) =>
  execa('borg', ['--umask', '0007', ...words], {
    ...{ uid: UID, gid: UID, cwd: places.repos, input: 'text' },
    env: {
      ...{ LOGNAME: 'web', BORG_BASE_DIR: join(root, 'base'), BORG_SELFTEST: 'disabled' },
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    },
  });
const init = (path: string) => borg('init', '--encryption', 'none', join(places.repos, path));
let archives = 0;
const create = (path: string) => {
  archives += 1;
  return borg('create', `${join(places.repos, path)}::${archives}`, '-');
};
const snapshots = (path: string) => listSnapshots(snapshotsOf(places.state, path) ?? '');
const count = (path: string): number => snapshots(path).length;
/** Whatever was begun is done once others have had their turns, again and again. */
const idle = async (): Promise<void> => {
  for (let turn = 0; turn < 6; turn += 1) {
    await keeper.remove('nobody', 'all');
    await settle();
  }
};
const start = (env: Record<string, string> = {}, sessions: readonly Writer[] = []): Keeper => {
  const tell = (level: string) => (facts: object, message: string) => void lines.push({ level, ...facts, message });
  return createKeeper({
    ...{ places, python: findBorg().python, hostId: 'a-server@1', settings: requireSettings(env) },
    ...{ clock: time.clock, log: { info: tell('info'), warn: tell('warn') } },
    connected: () => sessions,
  });
};

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'keeper-'));
  chmodSync(root, 0o755);
  places = placesBelow(root);
  for (const path of [places.repos, places.state]) mkdirSync(path);
  mkdirSync(join(root, 'base'));
  chownSync(join(root, 'base'), UID, UID);
  lines = [];
  time = standingClock();
  keeper = start();
  folder('web01');
  await init('web01');
});
afterEach(async () => {
  await keeper.close();
  rmSync(root, { recursive: true });
});

test('a change is kept at once, further ones together after SNAPSHOT_EVERY, and nothing where nothing has changed', async () => {
  keeper.changed('web01');
  await until('the first', () => count('web01') === 1);
  for (let change = 0; change < 2; change += 1) {
    await create('web01');
    keeper.changed('web01');
    await idle();
  }
  expect(count('web01')).toBe(1);
  await time.advance(HOUR - MINUTE);
  expect(count('web01')).toBe(1);
  await time.advance(2 * MINUTE);
  await until('the second', () => count('web01') === 2);
  await time.advance(3 * HOUR);
  keeper.changed('web01');
  keeper.changed(null);
  await idle();
  expect(count('web01')).toBe(2);
  expect(keeper.list()).toEqual([
    expect.objectContaining({ repository: 'web01', count: 2, protected: true, failing: null }),
  ]);
});

test('who asks gets the present state kept, whatever SNAPSHOT_EVERY says; nested repositories, too', async () => {
  folder('db01');
  folder('db01/main');
  await init('db01/main');
  expect(await keeper.keep('db01')).toEqual([{ repository: 'db01/main', result: 'kept' }]);
  await create('db01/main');
  expect(await keeper.keep('db01/main')).toEqual([{ repository: 'db01/main', result: 'kept' }]);
  expect(count('db01/main')).toBe(2);
  expect((await keeper.keep(null)).map(({ repository }) => repository)).toEqual(['db01/main', 'web01']);
  expect(await keeper.keep('nobody')).toEqual([]);
});

test.each([
  '..',
  '../repos/web01',
  '.hidden',
  'web01/../web01',
  '',
  '/',
  'web01/',
  `x/${'y'.repeat(300)}`,
  'x/\0',
  'a/b/c/d/e/f/g',
])('the path %j, which an admin’s session may say, leads nowhere', async (path) => {
  folder('.hidden');
  await init('.hidden');
  expect(await keeper.keep(path)).toEqual([]);
  expect(keeper.list()).toEqual([]);
});

test('with a clock that was ahead, the next one is not kept away for longer than SNAPSHOT_EVERY', async () => {
  await keeper.keep('web01');
  await keeper.close();
  await create('web01');
  const ahead = time.clock;
  keeper = createKeeper({
    ...{ places, python: findBorg().python, hostId: 'a-server@1', settings: requireSettings({}) },
    ...{ log: { info: () => {}, warn: () => {} }, clock: { ...ahead, now: () => ahead.now() - 400 * DAY } },
  });
  keeper.changed('web01');
  await idle();
  await time.advance(HOUR + MINUTE);
  await until('the next', () => count('web01') === 2);
});

test('what fails is told once, tried again, and told when it is over', async () => {
  const odd = join(places.repos, 'web01/data/0/7');
  writeFileSync(odd, '');
  keeper.changed('web01');
  await until('the failure', () => keeper.list()[0]?.failing?.code === 'odd-entry');
  await time.advance(16 * MINUTE);
  await idle();
  expect(lines).toEqual([
    expect.objectContaining({ level: 'warn', repository: 'web01', message: expect.stringContaining('no snapshot') }),
  ]);
  rmSync(odd);
  await time.advance(16 * MINUTE);
  await until('a snapshot', () => count('web01') === 1);
  await idle();
  expect(lines[1]).toMatchObject({ level: 'info', repository: 'web01' });
  expect(keeper.list()[0]?.failing).toBe(null);
});

test('none is taken where somebody changes owners and modes', async () => {
  const done = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const work = keeper.without('web01', FOREVER, async () => {
    began.resolve();
    await done.promise;
  });
  await began.promise;
  expect(await keeper.keep('web01')).toEqual([
    { repository: 'web01', result: { code: 'held', why: 'its files are being handed over or repaired' } },
  ]);
  done.resolve();
  await work;
  await time.advance(2 * MINUTE);
  await until('a snapshot', () => count('web01') === 1);
  // As doctor does: it is held as long as that process lives.
  const child = execa('sleep', ['600'], { reject: false });
  await create('web01');
  expect(await keeper.keep('web01', { holdFor: child.pid })).toEqual([{ repository: 'web01', result: 'kept' }]);
  await create('web01');
  expect((await keeper.keep('web01'))[0]?.result).toMatchObject({ why: expect.stringContaining('repaired') });
  child.kill();
  await child;
  expect((await keeper.keep('web01'))[0]?.result).toBe('kept');
});

test('an account that has none by its key file has none, and nothing of what is there goes', async () => {
  await keeper.close();
  keeper = start({ SNAPSHOT_KEEP: '1h' });
  await keeper.keep('web01');
  await time.advance(DAY);
  await create('web01');
  await keeper.keep('web01');
  await create('web01');
  const web01: Account = { name: 'web01' as AccountName, role: 'repo', uid: UID, keys: [], snapshots: 'no' };
  keeper.granted(stateOf([web01]));
  expect(await keeper.keep('web01')).toEqual([{ repository: 'web01', result: 'off' }]);
  keeper.begin();
  await time.advance(3 * DAY);
  await idle();
  expect(count('web01')).toBe(2);
  keeper.granted(stateOf([{ ...web01, snapshots: 3600 }]));
  await time.advance(2 * HOUR);
  await until('the older one to be gone', () => count('web01') === 1);
});

test('the time of each is over some days after the next one was taken; the newest and the last of three days stay', async () => {
  await keeper.close();
  keeper = start({ SNAPSHOT_KEEP: '4d' });
  const numbers = () => snapshots('web01').map(({ number }) => number);
  for (let day = 0; day < 5; day += 1) {
    await create('web01');
    expect((await keeper.keep('web01'))[0]?.result).toBe('kept');
    await time.advance(DAY);
  }
  expect(numbers()).toEqual([1, 2, 3, 4, 5]);
  keeper.begin();
  await time.advance(3 * HOUR);
  await until('the first to be gone', () => numbers().join() === '2,3,4,5');
  await time.advance(5 * DAY);
  await until('all but three to be gone', () => count('web01') < 4);
  expect(numbers()).toEqual([3, 4, 5]);
});

test('while an account is not granted, or nobody knows which are, its states are kept for as long as its key file said last', async () => {
  const granted = (snapshots: number) =>
    stateOf([{ name: 'web01' as AccountName, role: 'repo', uid: UID, keys: [], snapshots }]);
  await keeper.close();
  keeper = start({ SNAPSHOT_KEEP: '1h' });
  keeper.granted(granted(Infinity));
  await keeper.keep('web01');
  await time.advance(DAY);
  await create('web01');
  await keeper.keep('web01');
  keeper.granted(new Map());
  keeper.begin();
  await time.advance(2 * DAY);
  await idle();
  expect(count('web01')).toBe(2);
  keeper.granted(granted(3600));
  await time.advance(2 * HOUR);
  await until('the older one to be gone', () => count('web01') === 1);
});

test('where somebody has made so many names that the index may be missed, that is a failure, and not unchanged', async () => {
  await keeper.keep('web01');
  for (let name = 0; name < 1000; name += 1) writeFileSync(join(places.repos, `web01/junk${name}`), '');
  await create('web01');
  expect((await keeper.keep('web01'))[0]?.result).toMatchObject({ why: expect.stringContaining('too many files') });
  expect(keeper.list()[0]?.failing).toMatchObject({ why: expect.stringContaining('too many files') });
});

test('an account with many repositories keeps nobody from his turn', async () => {
  folder('db01');
  for (const name of ['a', 'b', 'c']) {
    folder(`db01/${name}`);
    await init(`db01/${name}`);
  }
  keeper.changed('db01');
  keeper.changed('web01');
  await until('his snapshot', () => count('web01') === 1);
  expect(count('db01/c')).toBe(0);
  await until('the last of the others', () => count('db01/c') === 1);
});

test('at its start it looks at all repositories once, and at those of which nobody knows which has changed once in SNAPSHOT_EVERY', async () => {
  keeper.begin();
  await until('the first', () => count('web01') === 1);
  await create('web01');
  await time.advance(30 * MINUTE);
  keeper.changed(null);
  await idle();
  expect(count('web01')).toBe(1);
  await time.advance(31 * MINUTE);
  await until('the second', () => count('web01') === 2);
});

test('what is removed as it was asked is told, and what the others hold is counted anew', async () => {
  await create('web01');
  await keeper.keep('web01');
  await borg('delete', `${join(places.repos, 'web01')}::${archives}`);
  await borg('compact', '--threshold', '0', join(places.repos, 'web01'));
  await keeper.keep('web01');
  expect(keeper.list()[0]).toMatchObject({ count: 2, olderHold: expect.any(Number) });
  expect(keeper.list()[0]?.olderHold).toBeGreaterThan(0);
  expect(await keeper.remove('web01', 'older')).toEqual([1]);
  expect(keeper.list()[0]).toMatchObject({ count: 1, olderHold: 0 });
  expect(await keeper.remove('web01', 'all')).toEqual([2]);
  expect(count('web01')).toBe(0);
  expect(lines.filter(({ message }) => message.includes('as it was asked'))).toHaveLength(2);
});

test('an undo is told, its new state is kept, and what it has replaced is spared when a day is over', async () => {
  await keeper.keep('web01');
  await create('web01');
  await keeper.keep('web01');
  await create('web01');
  expect(await keeper.wasPutBack('web01', { number: 1, transaction: null, former: 2 })).toEqual([
    { repository: 'web01', result: 'kept' },
  ]);
  expect(lines).toContainEqual({
    ...{ level: 'warn', repository: 'web01', number: 1, former: 2 },
    message: 'a repository was put back as a snapshot has it, as it was asked',
  });
  expect(snapshots('web01').map(({ number }) => number)).toEqual([1, 2, 3]);
  await time.advance(HOUR);
  await create('web01');
  await keeper.keep('web01');
  await time.advance(2 * DAY);
  await create('web01');
  await keeper.keep('web01');
  await until('the first and the third to go', () => count('web01') === 3);
  expect(snapshots('web01').map(({ number }) => number)).toEqual([2, 4, 5]);
});

test('at its start it tells of undos that were ended in the middle', async () => {
  const left = join(places.state, 'undo/web01.999999999-1');
  mkdirSync(join(left, 'tree'), { recursive: true });
  const unused = join(places.state, 'undo/web01.999999998-1');
  mkdirSync(unused);
  keeper.begin();
  await until('it to be told', () => lines.some(({ message }) => message.includes('ended in the middle')));
  expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', path: left }));
  await until('the unused one to go', () => !existsSync(unused));
});

test('what happens from one snapshot to the next is written down, by whom, and is told where it looks like an attack until somebody has looked', async () => {
  const by = (account: string, wrote = true): Writer => ({
    ...{
      kind: 'session',
      account,
      role: 'repo',
      fingerprint: 'SHA256:x',
      comment: 'a key',
      from: '203.0.113.7',
      wrote,
    },
  });
  const history = async (seen = false) => (await keeper.history('web01', seen)).records;
  expect(await history()).toMatchObject([{ snapshot: 1, before: null, counted: null, by: [], marks: [] }]);
  await time.advance(HOUR);
  await create('web01');
  keeper.changed('web01', by('web01', false));
  keeper.changed('web01', by('web01'));
  await until('the second', () => count('web01') === 2);
  expect(await history()).toMatchObject([
    { snapshot: 2, before: 1, by: [by('web01')], objects: { before: 1, after: 4 }, marks: [] },
    { snapshot: 1 },
  ]);
  await time.advance(HOUR);
  keeper.changed('db01', by('db01'));
  await borg('delete', `${join(places.repos, 'web01')}::${archives}`);
  keeper.changed('web01', by('web01'));
  await until('the mark', () => keeper.list()[0]?.marked.length === 1);
  const [newest] = await history();
  expect(newest).toMatchObject({
    ...{ snapshot: 3, by: [by('web01')], counted: { deleted: { objects: 3 } } },
    marks: ['mostly-deleted'],
  });
  expect(lines.filter(({ message }) => message.includes('looks like an attack'))).toEqual([
    expect.objectContaining({ level: 'warn', repository: 'web01', snapshot: 3 }),
  ]);
  expect(await history(true)).toHaveLength(3);
  expect(keeper.list()[0]?.marked).toEqual([]);
  expect(await keeper.history('web01', false)).toMatchObject({ seen: 3, notKept: null });
  await keeper.close();
  keeper = start();
  expect(await history()).toHaveLength(3);
  expect(keeper.list()[0]?.marked).toEqual([]);
});

test('who has written before is not named for what came later, if nothing had changed in between', async () => {
  const by = (what: string): Writer => ({ kind: 'server', what });
  await keeper.history('web01', false);
  keeper.changed('web01', by('a backup that ended after its snapshot'));
  await keeper.keep('web01');
  await create('web01');
  keeper.changed('web01', by('borg delete'));
  expect((await keeper.history('web01', false)).records[0]?.by).toEqual([by('borg delete')]);
});

test('who says that what is new is his own is named for that, also where the snapshot was taken before he could say so', async () => {
  const connected: Writer = {
    ...{ kind: 'session', account: 'ops', role: 'admin', fingerprint: 'SHA256:y', comment: '', from: '203.0.113.8' },
    wrote: false,
  };
  const server: Writer = { kind: 'server', what: 'borg delete' };
  await keeper.close();
  keeper = start({}, [connected]);
  await keeper.history('web01', false);
  const byOf = async () => (await keeper.history('web01', false)).records[0]?.by;
  for (const isLate of [false, true]) {
    await create('web01');
    if (isLate) await keeper.keep('web01');
    await keeper.keep('web01', { by: 'admins' });
    expect(await byOf()).toEqual([{ ...connected, wrote: true }]);
    await create('web01');
    // Somebody else has a session, and wrote before: not since it was kept.
    if (isLate) await keeper.keep('web01');
    await keeper.keep('web01', { by: server });
    expect(await byOf()).toEqual([server]);
  }
  await create('web01');
  expect(await byOf()).toEqual([connected]);
});

test('what an admin’s session says at its end is not taken for what changes later in an append-only repository, since it was told before', async () => {
  const by: Writer = {
    ...{ kind: 'session', account: 'ops', role: 'admin', fingerprint: 'SHA256:y', comment: '', from: '203.0.113.8' },
    wrote: true,
  };
  for (const role of ['append-only', 'repo'] as const) {
    keeper.granted(stateOf([{ name: 'web01' as AccountName, role, uid: UID, keys: [] }]));
    expect(keeper.isAppendOnly('web01/main')).toBe(role === 'append-only');
    await keeper.history('web01', false);
    await create('web01');
    keeper.changed('web01', by);
    expect((await keeper.history('web01', false)).records[0]?.by).toEqual([{ ...by, wrote: role === 'repo' }]);
  }
});

test('each snapshot has a record of its own, also where the one before was not counted yet', async () => {
  await keeper.history('web01', false);
  for (let times = 0; times < 3; times += 1) {
    await create('web01');
    await keeper.keep('web01');
  }
  const { records } = await keeper.history('web01', false);
  expect(records.map(({ snapshot }) => snapshot)).toEqual([4, 3, 2, 1]);
});

test('what is found only now does not count as seen', async () => {
  await create('web01');
  await keeper.history('web01', false);
  await borg('delete', `${join(places.repos, 'web01')}::${archives}`);
  const found = await keeper.history('web01', true);
  expect(found).toMatchObject({ acknowledged: 1, records: [{ id: 2, marks: ['mostly-deleted'] }, { id: 1 }] });
  expect(keeper.list()[0]?.marked).toHaveLength(1);
  expect(await keeper.history('web01', true)).toMatchObject({ acknowledged: 2, isThere: true });
  expect(keeper.list()[0]?.marked).toEqual([]);
});

test('what was not written down when the server ended is written down at its next start', async () => {
  await keeper.keep('web01');
  await create('web01');
  await keeper.keep('web01');
  rmSync(join(places.state, 'snapshots/web01/history.jsonl'), { force: true });
  await keeper.close();
  keeper = start();
  keeper.begin();
  await until('a record', () => existsSync(join(places.state, 'snapshots/web01/history.jsonl')));
  expect((await keeper.history('web01', false)).records).toMatchObject([
    { snapshot: 2, before: 1, objects: { after: 4 } },
  ]);
});

test('whoever changes a repository while the change before is still counted is named for his own', async () => {
  const by = (account: string): Writer => ({ kind: 'server', what: account });
  await keeper.history('web01', false);
  await create('web01');
  keeper.changed('web01', by('first'));
  await keeper.keep('web01');
  await create('web01');
  keeper.changed('web01', by('second'));
  const [newest] = (await keeper.history('web01', false)).records;
  expect(newest?.by.at(-1)).toEqual(by('second'));
  const { records } = await keeper.history('web01', false);
  expect(records.flatMap((each) => each.by)).toEqual(expect.arrayContaining([by('first'), by('second')]));
});

test('that a repository is gone is told once, and by whom, if its account is still there', async () => {
  const account: Account = { name: 'web01' as AccountName, role: 'repo', uid: UID, keys: [] };
  await keeper.history('web01', true);
  rmSync(join(places.repos, 'web01'), { recursive: true });
  keeper.changed('web01');
  await idle();
  expect(keeper.list()[0]?.marked).toEqual([]);
  keeper.granted(stateOf([account]));
  keeper.changed('web01', { kind: 'server', what: 'borg delete' });
  await until('the mark', () => keeper.list()[0]?.marked.length === 1);
  for (let turn = 0; turn < 2; turn += 1) {
    keeper.changed('web01');
    await idle();
  }
  const { records } = await keeper.history('web01', false);
  expect(records).toMatchObject([
    { id: 2, snapshot: null, before: 1, marks: ['destroyed'], by: [{ kind: 'server', what: 'borg delete' }] },
    { id: 1, snapshot: 1 },
  ]);
});

test('after all snapshots were removed their numbers begin again, and what happens is still written down', async () => {
  await keeper.keep('web01');
  await keeper.history('web01', true);
  await keeper.remove('web01', 'all');
  await time.advance(HOUR);
  await create('web01');
  await keeper.keep('web01');
  expect((await keeper.history('web01', false)).records).toMatchObject([
    { id: 2, snapshot: 1 },
    { id: 1, snapshot: 1 },
  ]);
});

test('when it ends, nothing half is left under the name of a snapshot, and whoever asked hears of it', async () => {
  const asked = keeper.keep('web01');
  await keeper.close();
  await asked.catch(() => {});
  const left = existsSync(join(places.state, 'snapshots/web01'))
    ? readdirSync(join(places.state, 'snapshots/web01'))
    : [];
  expect(left.filter((name) => name.startsWith('.'))).toEqual([]);
  await expect(keeper.keep('web01')).rejects.toThrow('the server stops');
});
