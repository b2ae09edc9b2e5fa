import { type ChildProcessWithoutNullStreams, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { contents } from '../e2e/harness/repository-files.ts';
import { converse, launch } from './launched-session.ts';

// Who has taken over a tenant's borg can make links in the tenant's folder. Here the launcher runs as root with the right to every
// repository, so that neither Unix nor borg's restriction stands between: only the box does.

const LAUNCHER = join(import.meta.dirname, '../../image/borg-serve');

let folder: string;
let repos: string;
let running: ChildProcessWithoutNullStreams[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'box-'));
  repos = join(folder, 'repos');
  running = [];
  mkdirSync(repos);
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8', BORG_BASE_DIR: join(folder, 'client') };
  spawnSync(findBorg().path, ['init', '--encryption', 'none', join(repos, 'web01')], { env });
  const first = await admin();
  await first.call(...open(join(repos, 'web01'), { exclusive: true }));
  await first.call('put', { id: 'object'.padEnd(32, '.'), data: Buffer.from('precious') });
  await first.call(...COMMIT);
  await first.end();
  cpSync(join(repos, 'web01'), join(repos, 'victim'), { recursive: true });
});

afterEach(() => {
  for (const each of running) each.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const COMMIT = ['commit', { save_space: false, compact: true, threshold: 0 }] as const;

/** A session that borg allows every repository. */
const admin = async (box = 'required') => {
  const borg = launch({
    ...{ launcher: LAUNCHER, repos, repository: join(repos, 'web01'), account: 'ops' },
    ...{ before: ['--box', box], restriction: ['--restrict-to-path', repos] },
  });
  running.push(borg);
  return converse(borg);
};

/** borg as the server runs it on web01, by the words of src/cli/borg.ts. */
const own = (reach: 'repository' | 'machine', words: readonly string[], box = 'required') => {
  const base = join(folder, 'base');
  mkdirSync(base, { recursive: true });
  const before = [
    '--reach',
    reach,
    '--root',
    repos,
    '--repository',
    join(repos, 'web01'),
    '--base',
    base,
    '--box',
    box,
  ];
  return spawnSync(findBorg().python, ['-I', LAUNCHER, ...before, '--', '--umask', '0007', ...words], {
    ...{ input: '', encoding: 'utf8', cwd: '/' },
    env: {
      SSH_ORIGINAL_COMMAND: 'borg serve',
      ...{ USER: 'web01', LC_ALL: 'C.UTF-8', PATH: '/usr/bin:/bin', HOME: base, BORG_BASE_DIR: base },
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
      BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: 'YES',
    },
  });
};

/** Puts a link to the victim's in the place of an entry of web01. */
const link = (entry: string, to: string = entry): void => {
  const path = join(repos, 'web01', entry);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(join(repos, 'victim', to), path);
};

const newest = (name: string): string =>
  readdirSync(join(repos, 'victim'))
    .filter((each) => each.startsWith(`${name}.`))
    .sort()
    .at(-1) ?? '';

const ENTRIES: readonly (readonly [string, () => void])[] = [
  ['config.old', () => link('config.old', 'config')],
  ['config', () => link('config')],
  ['data', () => link('data')],
  ['data/0', () => link('data/0')],
  ['the index', () => link(newest('index'))],
  ['the hints', () => link(newest('hints'))],
  ['nonce', () => link('nonce', 'config')],
  ['lock.roster', () => link('lock.roster', 'config')],
  ['lock.exclusive', () => link('lock.exclusive', 'data')],
];

/** `entries`: as where the kernel has no box. */
const WALLS = ['required', 'entries'].flatMap((box) => ENTRIES.map(([entry, make]) => [box, entry, make] as const));

describe.each(WALLS)('box %s: a link in the place of %s', (box, _entry, make) => {
  test('leads an admin’s session nowhere', async () => {
    make();
    const before = await contents(join(repos, 'victim'));
    for (const calls of [
      [['check', { repair: true, save_space: false }]],
      [['save_key', { keydata: Buffer.from('KEY') }]],
      [['put', { id: 'other'.padEnd(32, '.'), data: Buffer.from('other') }], COMMIT],
      [['list', {}]],
      [['get_free_nonce', {}]],
    ] as const) {
      const session = await admin(box);
      await session.call(...open(join(repos, 'web01'), { exclusive: true }));
      expect(await session.callAll(calls)).not.toContain('precious');
      await session.end();
      expect(await contents(join(repos, 'victim'))).toEqual(before);
    }
  });

  test('leads a borg that the server runs nowhere', async () => {
    make();
    const before = await contents(join(repos, 'victim'));
    for (const reach of ['repository', 'machine'] as const)
      for (const words of [
        ['check', '--repository-only', '--repair'],
        ['compact'],
        ['config', '--', 'additional_free_space', '1G'],
      ]) {
        const at = words[0] === 'config' ? 2 : words.length;
        own(reach, [...words.slice(0, at), join(repos, 'web01'), ...words.slice(at)], box);
        expect(await contents(join(repos, 'victim'))).toEqual(before);
      }
  });
});

test.each(['required', 'auto', 'entries'])('box %s: without links the same is done', async (box) => {
  const session = await admin(box);
  expect(await session.call(...open(join(repos, 'web01'), { exclusive: true }))).not.toContain('exception_class');
  expect(await session.call('check', { repair: true, save_space: false })).not.toContain('exception_class');
  expect(await session.call('get', { id: 'object'.padEnd(32, '.') })).toContain('precious');
  await session.end();
  const done = own('repository', ['config', join(repos, 'web01'), 'additional_free_space', '1G'], box);
  expect(done).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(repos, 'web01/config'), 'utf8')).toContain('additional_free_space = 1G');
});

test('a session that has opened one repository opens no other, and is told why', async () => {
  const session = await admin();
  expect(await session.call(...open(join(repos, 'web01'), { lock: false }))).not.toContain('exception_class');
  const second = await session.call(...open(join(repos, 'victim'), { lock: false }));
  expect(second).toContain('open another one in a session of its own');
  expect(await session.call(...open(join(repos, 'web01'), { lock: false }))).not.toContain('exception_class');
});

test('nobody opens or makes anything by a name that begins with a dot', async () => {
  for (const path of ['.borgserver/new', '.new', 'web01/.new', 'a/.b/c'])
    for (const create of [false, true]) {
      const session = await admin();
      const said = await session.call(...open(join(repos, path), { create, make_parent_dirs: create }));
      expect(said).toContain('PathNotAllowed');
      await session.end();
    }
  expect(readdirSync(repos).sort()).toEqual(['victim', 'web01']);
  expect(existsSync(join(repos, 'web01/.new'))).toBe(false);
});

test('a client of borg 2 is told in words what this server has', () => {
  const words = ['-I', LAUNCHER, '--session', '', '--', 'serve', '--restrict-to-repository', '/repos/web01'];
  const { stdout, stderr, status } = spawnSync(findBorg().python, words, {
    ...{ input: '', encoding: 'utf8', cwd: '/' },
    env: {
      SSH_ORIGINAL_COMMAND: 'borg serve --rest --backend FILE:/repos/web01',
      USER: 'web01',
      PATH: '/usr/bin:/bin',
    },
  });
  expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
  expect(stderr).toMatch(
    /^This server has borg 1\.\d.*ssh:\/\/web01@HOST\/repos\/web01\n.*borg2 transfer --from-borg1/,
  );
});

test('an admin makes a repository and deletes it again, folder and all', async () => {
  const session = await admin();
  const path = join(repos, 'a/b/new');
  expect(await session.call(...open(path, { create: true, make_parent_dirs: true, exclusive: true }))).not.toContain(
    'exception_class',
  );
  expect(existsSync(join(path, 'config'))).toBe(true);
  expect(await session.call('destroy')).not.toContain('exception_class');
  expect(existsSync(path)).toBe(false);
  expect(existsSync(join(repos, 'a/b'))).toBe(true);
});

test('what the operator’s words name is still read and written, and another repository is not', () => {
  const url = join(repos, 'web01');
  expect(own('repository', ['check', '--repair', '--repository-only', url])).toMatchObject({ status: 0 });
  writeFileSync(join(folder, 'document'), 'text');
  const locked = (command: string) => own('machine', ['with-lock', url, 'sh', '-c', command]);
  expect(locked(`cat '${folder}/document' && echo more >>'${folder}/document'`)).toMatchObject({
    stdout: 'text',
    stderr: '',
  });
  expect(readFileSync(join(folder, 'document'), 'utf8')).toBe('textmore\n');
  const before = readFileSync(join(repos, 'victim/config'), 'utf8');
  expect(locked(`cat '${repos}/victim/config' || : >>'${repos}/victim/config'`).stdout).toBe('');
  expect(readFileSync(join(repos, 'victim/config'), 'utf8')).toBe(before);
});
