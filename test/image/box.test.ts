import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { open } from '../e2e/harness/raw-borg.ts';
import { contents } from '../e2e/harness/repository-files.ts';
import { launcherWithout } from './launcher-without.ts';
import { ENTRIES, type LinkedRepository, makeLinkedRepository, PRECIOUS } from './linked-repository.ts';

// Somebody who has taken over a tenant's borg can make links in the tenant's folder. Here the launcher runs as root with the right to every
// repository. So neither Unix nor borg's restriction protects the others: only the box does, or the check of each entry that is opened.

const LAUNCHER = join(import.meta.dirname, '../../image/borg-serve');

let made: LinkedRepository;
let folder: string;
let repos: string;

beforeEach(async () => {
  made = await makeLinkedRepository();
  ({ folder, repos } = made);
});

afterEach(() => made.remove());

const admin = (box = 'required') => made.admin(box);

/** borg as the server runs it on web01, by the words of src/cli/borg.ts. */
const own = (
  reach: 'repository' | 'machine',
  words: readonly string[],
  { box = 'required', launcher = LAUNCHER } = {},
) => {
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
  return spawnSync(findBorg().python, ['-I', launcher, ...before, '--', '--umask', '0007', ...words], {
    ...{ input: '', encoding: 'utf8', cwd: '/' },
    env: {
      SSH_ORIGINAL_COMMAND: 'borg serve',
      ...{ USER: 'web01', LC_ALL: 'C.UTF-8', PATH: '/usr/bin:/bin', HOME: base, BORG_BASE_DIR: base },
      BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
      BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: 'YES',
    },
  });
};

/** Only one of the two protects. walls.test.ts shows that each link does harm without both. */
const ALONE = [
  ['the box', 'entries', 'required'],
  ['the check of each entry', 'box', 'entries'],
] as const;
const CASES = ALONE.flatMap(([wall, without, box]) =>
  ENTRIES.map(([entry, make]) => ({ wall, without, box, entry, make })),
);

describe.each(CASES)('$wall alone: a link in the place of $entry', ({ without, box, make }) => {
  test('leads an admin’s session nowhere', async () => {
    make(made);
    const launcher = launcherWithout(folder, without);
    const before = await contents(made.victim);
    expect(await made.ordinary(box, { launcher })).not.toContain(PRECIOUS);
    expect(await contents(made.victim)).toEqual(before);
  });

  test('leads a borg that the server runs nowhere', async () => {
    make(made);
    const launcher = launcherWithout(folder, without);
    const before = await contents(made.victim);
    for (const reach of ['repository', 'machine'] as const)
      for (const words of [
        ['check', '--repository-only', '--repair'],
        ['compact'],
        ['config', '--', 'additional_free_space', '1G'],
      ]) {
        const at = words[0] === 'config' ? 2 : words.length;
        own(reach, [...words.slice(0, at), join(repos, 'web01'), ...words.slice(at)], { box, launcher });
        expect(await contents(made.victim)).toEqual(before);
      }
  });
});

test.each(['required', 'auto', 'entries'])('box %s: without links the session does its work', async (box) => {
  const session = await admin(box);
  expect(await session.call(...open(join(repos, 'web01'), { exclusive: true }))).not.toContain('exception_class');
  expect(await session.call('check', { repair: true, save_space: false })).not.toContain('exception_class');
  expect(await session.call('get', { id: 'object'.padEnd(32, '.') })).toContain('common');
  await session.end();
  const done = own('repository', ['config', join(repos, 'web01'), 'additional_free_space', '1G'], { box });
  expect(done).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(repos, 'web01/config'), 'utf8')).toContain('additional_free_space = 1G');
});

test('a session that has opened one repository opens no other, and is told why', async () => {
  const session = await admin();
  expect(await session.call(...open(join(repos, 'web01'), { lock: false }))).not.toContain('exception_class');
  const second = await session.call(...open(join(repos, 'victim'), { lock: false }));
  expect(second).toContain('open another one in a new session');
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

test('nobody makes a repository that the server would not find, or could not show', async () => {
  for (const [path, reason] of [
    [Buffer.concat([Buffer.from(join(repos, 'latin-')), Buffer.of(0xe9)]), 'must be UTF-8'],
    [join(repos, 'a/b/c/d/e/f'), 'at most 5 folders deep'],
    [join(repos, 'web01/data'), 'cannot be called data'],
  ] as const) {
    const session = await admin();
    const [, how] = open(repos, { create: true, make_parent_dirs: true });
    expect(await session.call('open', { ...(how as object), path })).toContain(reason);
    await session.end();
  }
  expect(readdirSync(repos).sort()).toEqual(['victim', 'web01']);
  const session = await admin();
  const deepest = open(join(repos, 'a/b/c/d/é'), { create: true, make_parent_dirs: true });
  expect(await session.call(...deepest)).not.toContain('exception_class');
});

test('a client of borg 2 is told in words what this server has', () => {
  const words = ['-I', LAUNCHER, '--session', '', '--', 'serve', '--restrict-to-repository', '/repos/web01'];
  const { stdout, stderr, status } = spawnSync(findBorg().python, words, {
    ...{ input: '', encoding: 'utf8', cwd: '/' },
    env: {
      SSH_ORIGINAL_COMMAND: 'borg serve --rest --backend FILE:/repos/web01',
      USER: 'web01',
      BORGSERVER_ADDRESS: 'backup:2022',
      PATH: '/usr/bin:/bin',
    },
  });
  expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
  expect(stderr).toMatch(
    /^This server has borg 1\.\d.*ssh:\/\/web01@backup:2022\/repos\/web01\n.*borg2 transfer --from-borg1/,
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

test('a borg of the server still reads and writes what the operator’s words name, but no other repository', () => {
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
