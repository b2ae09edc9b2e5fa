import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findDamage } from '../../src/borg/damage.ts';
import { isWholeMap } from '../../src/borg/msgpack-map.ts';
import { repairRepository } from '../../src/borg/repair.ts';

const OWNER = { uid: 12345, gid: 12345 };
let root = '';
let whole = '';
let repository = '';
let last = '';

const borg = (...words: readonly string[]) =>
  execa('borg', words, {
    ...{ reject: false, extendEnv: false, cwd: root, uid: OWNER.uid, gid: OWNER.gid },
    env: {
      PATH: process.env.PATH,
      BORG_BASE_DIR: join(root, 'base'),
      BORG_SELFTEST: 'disabled',
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
    },
  });
const file = (name: string) => join(repository, name);
const damage = () => findDamage(repository, OWNER);
const opens = async () => (await borg('list', repository)).exitCode === 0;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'damage-'));
  chownSync(root, OWNER.uid, OWNER.gid);
  whole = join(root, 'whole');
  const env = { BORG_BASE_DIR: join(root, 'first'), BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' };
  await execa('borg', ['init', '--encryption', 'none', whole], { env });
  await execa('borg', ['create', `${whole}::a`, '/etc/hostname'], { env });
  await execa('chown', ['-R', `${OWNER.uid}:${OWNER.gid}`, whole]);
  last =
    readdirSync(whole)
      .find((name) => name.startsWith('index.'))
      ?.slice('index.'.length) ?? '';
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(async () => {
  repository = join(root, 'repository');
  await execa('cp', ['-a', whole, repository]);
});
afterEach(() => rmSync(repository, { recursive: true, force: true }));

describe('what borg does not open', () => {
  it.each<[string, string, string, () => void]>([
    ['without its config', 'config', 'config is missing', () => rmSync(file('config'))],
    ['with an empty config', 'config', 'config is empty', () => truncateSync(file('config'))],
    ['with a config that is cut off', 'config', 'config is cut off', () => truncateSync(file('config'), 60)],
    ['with a config of zeros', 'config', 'config is cut off', () => writeFileSync(file('config'), Buffer.alloc(700))],
    ['without data', 'data', 'data is missing', () => rmSync(file('data'), { recursive: true })],
    ['with nothing in data', 'data', 'data is empty', () => rmSync(file('data/0'), { recursive: true })],
    ['with an empty integrity.N', 'integrity', 'is empty or cut off', () => truncateSync(file(`integrity.${last}`))],
    [
      'with an integrity.N that is cut off',
      'integrity',
      'is empty or cut off',
      () => truncateSync(file(`integrity.${last}`), 20),
    ],
    [
      'with an integrity.N of zeros',
      'integrity',
      'is empty or cut off',
      () => writeFileSync(file(`integrity.${last}`), Buffer.alloc(190)),
    ],
    [
      'whose config is closed to its account',
      'closed',
      'may not read and write config',
      () => chmodSync(file('config'), 0o040),
    ],
    [
      'whose data is closed to its account',
      'closed',
      'may not read and write data',
      () => chmodSync(file('data'), 0o070),
    ],
  ])('is a repository %s, and it is damaged', async (_, kind, text, spoil) => {
    spoil();
    expect(damage()).toMatchObject({ kind, text: expect.stringContaining(text) });
    expect(await opens()).toBe(false);
  });

  it('is a repository whose config ends inside its key, but none whose key is whole, gone or no key of borg', async () => {
    await execa('rm', ['-r', repository]);
    await execa('borg', ['init', '--encryption', 'repokey', repository], {
      ...{ uid: OWNER.uid, gid: OWNER.gid, cwd: root, extendEnv: false },
      env: { PATH: process.env.PATH, BORG_BASE_DIR: join(root, 'base'), BORG_PASSPHRASE: 'x' },
    });
    const config = readFileSync(file('config'), 'utf8');
    const keyAt = config.indexOf('key = ');
    expect(damage()).toBe(null);
    for (const end of [keyAt + 40, keyAt + 100, config.trimEnd().length - 10]) {
      writeFileSync(file('config'), config.slice(0, end));
      expect(damage()).toMatchObject({ kind: 'key', text: expect.stringContaining('key in its config is cut off') });
    }
    for (const other of [
      config.slice(0, keyAt),
      `${config.slice(0, keyAt)}key = \n\n`,
      `${config.slice(0, keyAt)}key = other\n`,
    ]) {
      writeFileSync(file('config'), other);
      expect(damage()).toBe(null);
    }
  });

  it.each<[string, () => void]>([
    ['whole', () => {}],
    ['without README', () => rmSync(file('README'))],
    ['without integrity.N', () => rmSync(file(`integrity.${last}`))],
    ['with an index that is cut off', () => truncateSync(file(`index.${last}`), 30)],
    ['with hints that are cut off', () => truncateSync(file(`hints.${last}`), 30)],
    [
      'without index, hints and integrity',
      () => ['index', 'hints', 'integrity'].map((each) => rmSync(file(`${each}.${last}`))),
    ],
  ])('is no repository that is %s: borg opens it', async (_, spoil) => {
    spoil();
    expect(damage()).toBeNull();
    expect(await opens()).toBe(true);
  });

  it('is no folder that never was a repository', () => {
    rmSync(repository, { recursive: true });
    mkdirSync(file('data/0'), { recursive: true });
    writeFileSync(file('README'), 'A project of somebody’s\n');
    expect(damage()).toBeNull();
    writeFileSync(file('README'), readFileSync(join(whole, 'README')));
    expect(damage()).toMatchObject({ kind: 'config', text: 'its config is missing' });
    rmSync(file('README'));
    cpSync(whole, file('data'), { recursive: true });
    cpSync(whole, file('config'), { recursive: true });
    // An account may give its own repositories such names.
    expect(damage()).toBeNull();
  });
});

describe('what brings it back', () => {
  it('is to remove integrity.N, as its owner: nothing else is touched', async () => {
    truncateSync(file(`integrity.${last}`));
    expect(await repairRepository(root, 'repository', OWNER, 'integrity')).toBeNull();
    expect(damage()).toBeNull();
    expect((await borg('check', repository)).exitCode).toBe(0);
    expect(await opens()).toBe(true);
  });

  it('is the former config, where borg left one; a whole one is not replaced', async () => {
    expect(await repairRepository(root, 'repository', OWNER, 'config')).toMatch(/is whole/);
    renameSync(file('config'), file('config.old'));
    writeFileSync(file('config'), '');
    chownSync(file('config'), OWNER.uid, OWNER.gid);
    expect(damage()).toMatchObject({ kind: 'config-kept' });
    expect(await repairRepository(root, 'repository', OWNER, 'config')).toBeNull();
    expect(damage()).toBeNull();
    expect(await opens()).toBe(true);
    rmSync(file('config'));
    writeFileSync(file('config.old'), 'wiped');
    expect(damage()).toMatchObject({ kind: 'config' });
    expect(await repairRepository(root, 'repository', OWNER, 'config')).toMatch(/no former config/);
  });

  it('is a config written by hand with the id that the client knows, where all else is there', async () => {
    const id = /^id = (.*)$/m.exec(readFileSync(file('config'), 'utf8'))?.[1];
    writeFileSync(
      file('config'),
      `[repository]\nversion = 1\nsegments_per_dir = 1000\nmax_segment_size = 524288000\nid = ${id}\n`,
    );
    expect((await borg('list', '--short', repository)).stdout).toBe('a');
    expect((await borg('check', repository)).exitCode).toBe(0);
  });
});

describe('a map of msgpack', () => {
  it('is whole or not at every length', () => {
    const bytes = readFileSync(join(whole, `integrity.${last}`));
    expect(isWholeMap(bytes)).toBe(true);
    for (let length = 0; length < bytes.length; length += 1) expect(isWholeMap(bytes.subarray(0, length))).toBe(false);
    expect(isWholeMap(Buffer.concat([bytes, Buffer.alloc(1)]))).toBe(false);
    expect(isWholeMap(Buffer.alloc(bytes.length, 0x81))).toBe(true);
  });
});
