import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TreeWatch } from '../../src/keys/tree-watch.ts';
import { watchTree } from '../../src/keys/watch.ts';

let root: string;
let watch: TreeWatch;
let events = 0;
const accounts = new Set<string | undefined>();
let faults: Error[] = [];

const start = async (polling: boolean): Promise<void> => {
  const onEvent = (account?: string): void => {
    events += 1;
    accounts.add(account);
  };
  watch = watchTree(root, { polling, onEvent, onFault: (error) => faults.push(error) });
  await expect.poll(() => events).toBeGreaterThan(0);
};

/** Does something to the tree and waits for the watch to tell of it. */
const told = async (change: () => void): Promise<void> => {
  events = 0;
  change();
  await expect.poll(() => events, { interval: 10 }).toBeGreaterThan(0);
};

/** The inodes that this process has the kernel watch (proc(5), /proc/PID/fdinfo). */
const watched = (): number[] =>
  readdirSync('/proc/self/fdinfo').flatMap((file) => {
    try {
      const lines = readFileSync(join('/proc/self/fdinfo', file), 'utf8').matchAll(/^inotify .* ino:([0-9a-f]+) /gm);
      return [...lines].map(([, inode = '']) => Number.parseInt(inode, 16));
    } catch {
      return [];
    }
  });

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'watch-'));
  for (const folder of ['repos', 'repos-appendonly', 'admins', 'host']) mkdirSync(join(root, folder));
  events = 0;
  faults = [];
});
afterEach(async () => {
  await watch.close();
  rmSync(root, { recursive: true, force: true });
  expect(faults).toEqual([]);
});

describe.each([
  ['events', false],
  ['polling', true],
] as const)('a watch by %s', (_how, polling) => {
  test('tells of a key file that comes, changes, moves and goes', async () => {
    await start(polling);
    await told(() => writeFileSync(join(root, 'repos/web01'), 'a'));
    await told(() => writeFileSync(join(root, 'repos/web01'), 'bcd'));
    await told(() => renameSync(join(root, 'repos/web01'), join(root, 'admins/web01')));
    // Perhaps only the removal was told: a file that comes and goes before it was seen need not be told.
    await told(() => writeFileSync(join(root, 'admins/web01'), 'efghi'));
    await told(() => rmSync(join(root, 'admins/web01')));
  });
});

describe('a watch', () => {
  test('goes on in a folder that was removed and made again at once', async () => {
    await start(false);
    for (let turn = 0; turn < 3; turn += 1) {
      await told(() => {
        rmSync(join(root, 'repos'), { recursive: true });
        mkdirSync(join(root, 'repos'));
      });
      // Only the inode tells that it is another folder; what comes then must be told of.
      await expect
        .poll(async () => {
          events = 0;
          writeFileSync(join(root, 'repos/web01'), String(turn));
          await new Promise((resolve) => setImmediate(resolve));
          await expect.poll(() => events, { timeout: 300, interval: 10 }).toBeGreaterThan(0);
          return true;
        })
        .toBe(true);
    }
  });

  test('ignores what a NAS keeps for itself, in the tree and in a role folder', async () => {
    const folders = [join(root, '@eaDir'), join(root, 'repos/@eaDir')];
    for (const folder of folders) mkdirSync(folder);
    await start(false);
    expect(folders.map((folder) => watched().includes(statSync(folder).ino))).toEqual([false, false]);
    expect(watched()).toContain(statSync(join(root, 'repos')).ino);
    accounts.clear();
    for (const folder of folders) writeFileSync(join(folder, 'web01@SynoEAStream'), 'x');
    for (const name of ['.DS_Store', '._web01', '.sync_0123.db-wal', 'repos/Thumbs.db'])
      writeFileSync(join(root, name), 'x');
    await told(() => writeFileSync(join(root, 'repos/web01'), 'a'));
    expect([...accounts]).toEqual(['web01']);
  });

  test('tells of the swap of a ..data link', async () => {
    mkdirSync(join(root, 'repos/..1'));
    mkdirSync(join(root, 'repos/..2'));
    symlinkSync('..1', join(root, 'repos/..data'));
    symlinkSync('..2', join(root, 'repos/..tmp'));
    await start(false);
    await told(() => renameSync(join(root, 'repos/..tmp'), join(root, 'repos/..data')));
  });

  test('tells of a tree that comes only later', async () => {
    rmSync(root, { recursive: true });
    await start(false);
    await told(() => mkdirSync(join(root, 'repos'), { recursive: true }));
    await told(() => writeFileSync(join(root, 'repos/web01'), 'a'));
  });

  test('hears nothing of host keys, nor of what a link leads to outside the tree', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'outside-'));
    symlinkSync(outside, join(root, 'link'));
    try {
      await start(false);
      await told(() => writeFileSync(join(root, 'repos/web01'), 'x'));
      const inode = (path: string): number => statSync(path).ino;
      expect(watched()).toContain(inode(join(root, 'repos')));
      expect(watched()).not.toContain(inode(join(root, 'host')));
      expect(watched()).not.toContain(inode(outside));
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test('names the account whose file it is, and no account where any may be concerned', async () => {
    await start(false);
    const named = async (change: () => void): Promise<ReadonlySet<string | undefined>> => {
      accounts.clear();
      await told(change);
      return new Set(accounts);
    };
    const web01 = join(root, 'repos/web01.pub');
    expect(await named(() => writeFileSync(web01, 'a'))).toEqual(new Set(['web01']));
    expect(await named(() => writeFileSync(web01, 'bc'))).toEqual(new Set(['web01']));
    expect(await named(() => rmSync(web01))).toEqual(new Set(['web01']));
    for (const other of ['repos/..1', 'repos/folder', 'elsewhere'])
      expect(await named(() => mkdirSync(join(root, other)))).toEqual(new Set([undefined]));
    expect(await named(() => writeFileSync(join(root, 'elsewhere/web01'), 'a'))).toEqual(new Set([undefined]));
    expect(await named(() => symlinkSync('..1', join(root, 'repos/..data')))).toEqual(new Set([undefined]));
  });

  test('is over once it is closed', async () => {
    await start(false);
    await watch.close();
    events = 0;
    writeFileSync(join(root, 'repos/web01'), 'x');
    const other = watchTree(root, { polling: false, onEvent: () => {}, onFault: () => {} });
    await other.close();
    expect(events).toBe(0);
  });
});

describe('a fault in a watch', () => {
  afterEach(() => process.seteuid?.(0));

  test('is told once, ends nothing, and is over when a fresh watcher works', async () => {
    for (const [path, mode] of [
      ['', 0o755],
      ['repos', 0o700],
    ] as const)
      chmodSync(join(root, path), mode);
    process.seteuid?.(65_534);
    const told: Error[] = [];
    watch = watchTree(root, { polling: false, onEvent: () => (events += 1), onFault: (error) => told.push(error) });
    await expect.poll(() => told.length).toBeGreaterThan(0);
    process.seteuid?.(0);
    chmodSync(join(root, 'repos'), 0o755);
    process.seteuid?.(65_534);
    const before = told.length;
    events = 0;
    await expect.poll(() => events).toBeGreaterThan(0);
    process.seteuid?.(0);
    events = 0;
    writeFileSync(join(root, 'repos/web01'), 'x');
    await expect.poll(() => events).toBeGreaterThan(0);
    expect(told.length - before).toBeLessThanOrEqual(1);
  });
});
