import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { type Call, converse, launch } from './launched-session.ts';

// An account with several repositories, with borg's client and with another one.

const NOBODY = 65_534;
const MANIFEST = Buffer.alloc(32);
const COMMIT: Call = ['commit', { save_space: false, compact: false, threshold: 0 }];
const put = (id: Uint8Array = Buffer.from('x'.padEnd(32, '.'))): Call => ['put', { id, data: Buffer.of(1) }];

let folder: string;
let running: ReturnType<typeof launch>[];

const account = (name: string): string => join(folder, 'repos', name);
const words = (box: string, most = '50'): readonly string[] => [
  ...['--account', 'nobody', '--sessions', '50', '--memory', 'auto', '--repositories', most, '--box', box],
];

beforeEach(async () => {
  running = [];
  folder = mkdtempSync(join(tmpdir(), 'tiny-segments-'));
  chmodSync(folder, 0o755);
  await installLauncher(folder, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
  for (const name of ['fleet', 'other']) {
    mkdirSync(account(name), { recursive: true });
    chownSync(account(name), NOBODY, NOBODY);
  }
});

afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A session of an account that has several repositories, which has opened one of them. */
const session = async (name: string, repository: string, more = {}, before = words('required')) => {
  const path = join(account(name), repository);
  const borg = launch({
    ...{ launcher: join(folder, 'borg-serve'), repos: join(folder, 'repos'), repository: path },
    ...{ account: 'nobody', uid: NOBODY, restriction: ['--restrict-to-path', account(name)] },
    before,
  });
  running.push(borg);
  const client = await converse(borg);
  const ended = client.exited.then(() => Promise.reject(new Error(client.said())));
  ended.catch(() => {});
  const opened = client.call(...open(path, { exclusive: true, ...more }));
  opened.catch(() => {});
  const answer = await Promise.race([opened, ended]);
  if (answer.includes('exception')) throw new Error(answer);
  return client;
};
type Session = Awaited<ReturnType<typeof session>>;

const timed = async (client: Session, ...calls: readonly Call[]): Promise<number> => {
  const begin = performance.now();
  expect(await client.callAll(calls)).not.toContain('exception');
  return performance.now() - begin;
};

/** How many seconds the launcher would make a session of this repository wait. */
const waiting = (name: string, repository: string): number => {
  const code = `import sys; sys.path.append(sys.argv[1])
from launcher.guards import inodes
print(inodes.waiting(inodes.Allowance(*sys.argv[2:])))`;
  const args = ['-I', '-c', code, folder, join(account(name), repository), account(name)];
  const { stdout, stderr } = spawnSync(findBorg().python, args, { encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return Number(stdout);
};

/** Makes as many segments as an account may make within a day without waiting, less `fewer`. They are dated now. */
const spendTheDay = (name: string, fewer = 0): void => {
  const path = join(account(name), 'many');
  const segments = [0, 9_999 - fewer].map((each) => join(path, 'data', String(Math.floor(each / 1000)), String(each)));
  for (const each of segments) {
    mkdirSync(join(each, '..'), { recursive: true });
    writeFileSync(each, '');
    utimesSync(each, Date.now() / 1000 - 3600, Date.now() / 1000 - 3600);
  }
  writeFileSync(join(path, 'config'), '');
};

/** Makes what so many commits leave, dated now: a long operation on one archive after the other, or a client that does nothing else. */
const makeTiny = (name: string, repository: string, count: number): void => {
  const data = join(account(name), repository, 'data/0');
  mkdirSync(data, { recursive: true });
  for (let segment = 0; segment < count; segment += 1) writeFileSync(join(data, String(segment)), '');
  writeFileSync(join(account(name), repository, 'config'), '');
};

test('a long operation is not slowed down until its account has made, in all of its repositories, what it may within a day', async () => {
  const [made, more] = [306, 5];
  makeTiny('fleet', 'one', made);
  expect(waiting('fleet', 'one')).toBe(0);
  spendTheDay('fleet', made + more);
  expect(waiting('fleet', 'one')).toBe(0);
  spendTheDay('fleet', made - more);
  expect(waiting('fleet', 'one')).toBeGreaterThan(2);
  const fresh = await session('fleet', 'two', { create: true });
  expect(await timed(fresh, put(MANIFEST))).toBeGreaterThan(1000);

  // Yesterday's segments do not count.
  for (const each of [...segmentsOf('fleet', 'many'), ...segmentsOf('fleet', 'many', '9')]) utimesSync(each, 1, 1);
  expect(waiting('fleet', 'one')).toBe(0);
});

test('tiny commits in several repositories in turn are slowed down as in one, also in a new one; no other account is slowed down', async () => {
  const names = ['one', 'two', 'deep/three', 'deep/four'];
  const create = { create: true, make_parent_dirs: true };
  spendTheDay('fleet');
  const clients: Session[] = [];
  for (const name of names) clients.push(await session('fleet', name, create));
  // Two files each: 296 are made by all of them together, a quarter by each.
  for (let commit = 0; commit < 148; commit += 1)
    await timed(clients[commit % clients.length] as Session, put(), COMMIT);
  for (const client of clients.slice(0, 2)) await timed(client, put(), COMMIT);
  for (const client of clients.slice(2)) expect(await timed(client, put(), COMMIT)).toBeGreaterThan(1000);
  const fresh = await session('fleet', 'five', create);
  expect(await timed(fresh, put(MANIFEST))).toBeGreaterThan(1000);

  // Of several sessions at once, each waits longer the more all have made together.
  expect(waiting('fleet', 'one')).toBeGreaterThan(2);
  const other = await session('other', 'one', create);
  const others: number[] = [];
  // A client that is slowed down waits for a second on any machine. On a busy machine others may take as long, but not each time.
  do others.push(await timed(other, put(), COMMIT));
  while (Math.min(...others) > 1000 && others.length < 30);
  expect(Math.min(...others)).toBeLessThan(1000);
  expect(waiting('other', 'one')).toBe(0);

  for (const each of names.flatMap((name) => segmentsOf('fleet', name))) utimesSync(each, 1, 1);
  expect(waiting('fleet', 'one')).toBe(0);
});

const segmentsOf = (name: string, repository: string, part = '0'): readonly string[] => {
  const data = join(account(name), repository, 'data', part);
  return readdirSync(data).map((each) => join(data, each));
};

test('the files of a backup count little: a client that backs up to several repositories with borg itself does not wait', () => {
  const launcher = [findBorg().python, '-I', join(folder, 'borg-serve'), '--session', "''", ...words('required'), '--'];
  const serve = ['serve', '--umask', '0007', '--restrict-to-path', account('fleet')];
  const rsh = join(folder, 'rsh');
  const env = `SSH_ORIGINAL_COMMAND='borg serve' USER=nobody HOME=/ BORG_BASE_DIR=${join(folder, 'repos')}`;
  const drop = `setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups env ${env}`;
  writeFileSync(rsh, `#!/bin/sh\ncd /\nexec ${drop} ${[...launcher, ...serve].join(' ')}\n`, { mode: 0o755 });
  const borg = (...args: readonly string[]) => {
    const { path, python } = findBorg();
    const home = { HOME: folder, PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', BORG_RSH: rsh, BORG_SELFTEST: 'disabled' };
    const { status, stderr } = spawnSync(python, [path, ...args], { env: home, encoding: 'utf8' });
    expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  };
  writeFileSync(join(folder, 'letter'), 'Dear Sir or Madam');
  const names = ['one', 'two', 'three'];
  for (const name of names) {
    const url = `ssh://nobody@server${account('fleet')}/${name}`;
    borg('init', '--encryption', 'none', url);
    for (const archive of ['first', 'second']) borg('create', `${url}::${archive}`, join(folder, 'letter'));
  }
  // At most four files for each backup, and those of init: seventy backups within the window do not reach the limit either.
  expect(names.flatMap((name) => segmentsOf('fleet', name)).length).toBeLessThanOrEqual(4 * 3 * names.length);
  for (const name of names) expect(waiting('fleet', name)).toBe(0);
});

test('an account may make several repositories, and not more than allowed, even if the kernel has no box', async () => {
  const make = (name: string) => session('fleet', name, { create: true }, words('entries', '2'));
  for (const name of ['one', 'two']) {
    const client = await make(name);
    expect(await client.callAll([put(), COMMIT])).not.toContain('exception');
    await client.end();
  }
  await expect(make('one')).rejects.toThrow('AlreadyExists');
  await expect(make('three')).rejects.toThrow('This account may have 2 repositories and folders on this server');
  expect(readdirSync(account('fleet')).sort()).toEqual(['one', 'two']);
});
