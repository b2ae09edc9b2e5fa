import {
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { clearStaleLocks } from '../../src/borg/stale-locks.ts';
import { type Places, placesBelow } from '../../src/places.ts';

const OURS = 'borgserver-0123456789';
const THEIRS = 'borgserver-9876543210';

let root: string;
let places: Places;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'stale-locks-'));
  places = placesBelow(root);
  mkdirSync(places.state, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const repository = (name: string): string => {
  const path = join(places.repos, name);
  mkdirSync(join(path, 'data'), { recursive: true });
  for (const file of ['config', 'README']) writeFileSync(join(path, file), '');
  return path;
};
const exclusive = (folder: string, ...names: string[]): void => {
  mkdirSync(join(folder, 'lock.exclusive'), { recursive: true });
  for (const name of names) writeFileSync(join(folder, 'lock.exclusive', name), '');
};
const roster = (folder: string, content: unknown): void => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'lock.roster'), typeof content === 'string' ? content : JSON.stringify(content));
};

describe('clearing stale locks', () => {
  test('tells some locks of one folder, and the number of the rest', async () => {
    const path = repository('web01');
    exclusive(path, ...Array.from({ length: 150 }, (_, each) => `${OURS}.${each + 1}-0`));
    roster(path, { shared: Array.from({ length: 20_000 }, (_, each) => [OURS, each, 0]), exclusive: [] });
    exclusive(repository('web02'), `${OURS}.1-0`);
    const cleared = await clearStaleLocks(places, OURS);
    expect(cleared.filter(({ repository: shown }) => shown === path)).toHaveLength(2001);
    expect(cleared[2000]).toEqual({ repository: path, lock: '18150 more' });
    expect(cleared[2001]).toMatchObject({ lock: `lock.exclusive ${OURS}.1-0` });
    expect(existsSync(join(path, 'lock.exclusive'))).toBe(false);
    expect(existsSync(join(path, 'lock.roster'))).toBe(false);
  });

  test('lets borg go on where a killed borg of this server held the repository', async () => {
    const path = join(places.repos, 'web01');
    const env = { BORG_BASE_DIR: join(places.state, 'borg/0'), BORG_HOST_ID: OURS };
    await execa('borg', ['init', '-e', 'none', path], { env });
    // PID 1 stands for a PID that a new container gave to somebody else: borg takes the lock for alive.
    exclusive(path, `${OURS}.1-0`);
    roster(path, { exclusive: [[OURS, 1, 0]] });
    const list = () =>
      execa('borg', ['list', '--lock-wait', '0', path], {
        env: { ...env, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' },
        reject: false,
      });
    expect(await list()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('lock') });
    expect(await clearStaleLocks(places, OURS)).toEqual([
      { repository: path, lock: `lock.exclusive ${OURS}.1-0` },
      { repository: path, lock: `lock.roster exclusive ${OURS}.1-0` },
    ]);
    expect(await list()).toMatchObject({ exitCode: 0 });
  });

  test('leaves the locks of other hosts, even of one whose id begins in the same way', async () => {
    const path = repository('web01');
    const others = [`${THEIRS}.7-0`, `${OURS}.more.7-0`, `${OURS}0.7-0`, `${OURS}07-0`, 'junk', `${OURS}.x-0`];
    exclusive(path, ...others, `${OURS}.8-0`);
    roster(path, {
      shared: [
        [THEIRS, 7, 0],
        [OURS, 8, 0],
      ],
      exclusive: [],
    });
    chownSync(join(path, 'lock.roster'), 12345, 12345);
    expect((await clearStaleLocks(places, OURS)).map(({ lock }) => lock)).toEqual([
      `lock.exclusive ${OURS}.8-0`,
      `lock.roster shared ${OURS}.8-0`,
    ]);
    for (const name of others) expect(existsSync(join(path, 'lock.exclusive', name))).toBe(true);
    expect(JSON.parse(readFileSync(join(path, 'lock.roster'), 'utf8'))).toEqual({
      shared: [[THEIRS, 7, 0]],
      exclusive: [],
    });
    expect(statSync(join(path, 'lock.roster')).uid).toBe(12345);
  });

  test('finds nested repositories, half-made locks and the caches of the server, but does not search data', async () => {
    const nested = repository('team/one');
    exclusive(nested, `${OURS}.1-0`);
    const deep = repository('team/a/b/c/d');
    exclusive(deep, `${OURS}.5-0`);
    const halfMade = join(repository('web01'), 'lock.exclusive.abc123.tmp');
    mkdirSync(halfMade);
    writeFileSync(join(halfMade, `${OURS}.2-0`), '');
    const cache = join(places.state, 'borg/12345/.cache/borg/00ff');
    exclusive(cache, `${OURS}.3-0`);
    const inData = join(repository('web02'), 'data');
    exclusive(inData, `${OURS}.4-0`);
    expect(await clearStaleLocks(places, OURS)).toHaveLength(4);
    for (const each of [nested, deep]) expect(existsSync(join(each, 'lock.exclusive'))).toBe(false);
    expect(existsSync(halfMade)).toBe(false);
    expect(existsSync(join(cache, 'lock.exclusive'))).toBe(false);
    expect(existsSync(join(inData, 'lock.exclusive'))).toBe(true);
    expect(await clearStaleLocks(places, OURS)).toEqual([]);
  });

  test('finds them in repositories of an account that have the names of borg’s own folders', async () => {
    const names = ['data', 'config', 'lock.exclusive', 'lock.old', 'data2/data'];
    for (const name of names) exclusive(repository(join('fleet', name)), `${OURS}.1-0`);
    expect((await clearStaleLocks(places, OURS)).map(({ repository: where }) => where).sort()).toEqual(
      names.map((name) => join(places.repos, 'fleet', name)).sort(),
    );
    expect(existsSync(join(places.repos, 'fleet/lock.exclusive/config'))).toBe(true);
  });

  test('does not search without end where somebody has made very many folders, and says so', async () => {
    const path = repository('crowded');
    for (let number = 0; number < 1100; number += 1) exclusive(join(path, `nested${number}`), `${OURS}.${number}-0`);
    exclusive(path, `${OURS}.9-0`);
    exclusive(repository('team/one'), `${OURS}.8-0`);
    const full = repository('full');
    for (let number = 0; number < 2100; number += 1) writeFileSync(join(full, `${number}`), '');
    exclusive(full, `${OURS}.7-0`);
    const cleared = await clearStaleLocks(places, OURS);
    const failures = cleared.filter(({ failure }) => failure !== undefined);
    expect(failures.map(({ repository: where }) => where)).toEqual([path, full]);
    expect(failures[0]?.failure).toMatch(/1000 folders.*break-lock/);
    expect(cleared.filter(({ repository: where }) => where.startsWith(join(path, 'nested')))).toHaveLength(1000);
    // What is in the usual places is found all the same.
    for (const name of ['crowded', 'full', 'team/one'])
      expect(existsSync(join(places.repos, name, 'lock.exclusive'))).toBe(false);
  });

  test('follows no link, neither of a repository nor of a lock', async () => {
    const elsewhere = join(root, 'elsewhere');
    exclusive(elsewhere, `${OURS}.1-0`);
    roster(elsewhere, { shared: [[OURS, 1, 0]] });
    symlinkSync(elsewhere, join(places.repos, 'linked'));
    const path = repository('web01');
    symlinkSync(elsewhere, join(path, 'nested'));
    symlinkSync(join(elsewhere, 'lock.exclusive'), join(path, 'lock.exclusive'));
    symlinkSync(join(elsewhere, 'lock.roster'), join(path, 'lock.roster'));
    linkSync(join(elsewhere, 'lock.roster'), join(repository('web02'), 'lock.roster'));
    mkdirSync(join(places.state, 'borg'));
    symlinkSync(elsewhere, join(places.state, 'borg/1'));
    mkdirSync(join(places.state, 'borg/2'));
    exclusive(join(elsewhere, 'borg/00ff'), `${OURS}.2-0`);
    symlinkSync(elsewhere, join(places.state, 'borg/2/.cache'));
    expect(await clearStaleLocks(places, OURS)).toEqual([]);
    expect(existsSync(join(elsewhere, `lock.exclusive/${OURS}.1-0`))).toBe(true);
    expect(existsSync(join(elsewhere, `borg/00ff/lock.exclusive/${OURS}.2-0`))).toBe(true);
    expect(JSON.parse(readFileSync(join(elsewhere, 'lock.roster'), 'utf8'))).toEqual({ shared: [[OURS, 1, 0]] });
  });

  test('is not stopped by anything that lies in the place of a lock', async () => {
    mkdirSync(join(repository('a'), 'lock.roster'));
    writeFileSync(join(repository('b'), 'lock.exclusive'), '');
    mkdirSync(join(repository('c'), `lock.exclusive/${OURS}.1-0`), { recursive: true });
    await execa('mkfifo', [join(repository('d'), 'lock.roster')]);
    for (const [index, text] of [
      '',
      '[',
      'null',
      '7',
      `[["${OURS}",1,0]]`,
      '{"shared":7}',
      '{"shared":[7,null,[]]}',
      '{"__proto__":[]}',
    ].entries()) {
      roster(repository(`e${index}`), text);
    }
    roster(repository('f'), `{"shared":[["${OURS}",1,0]],"fill":"${'x'.repeat(2 << 20)}"}`);
    roster(repository('y'), { shared: [[OURS, '\u001b[2J', {}]] });
    exclusive(repository('z'), `${OURS}.9-0`);
    expect((await clearStaleLocks(places, OURS)).map(({ lock }) => lock)).toEqual([
      `lock.roster shared ${OURS}.?-?`,
      `lock.exclusive ${OURS}.9-0`,
    ]);
    expect(existsSync(join(places.repos, 'y/lock.roster'))).toBe(false);
  });
});
