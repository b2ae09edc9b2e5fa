import { describe, expect, test } from 'vitest';
import { borgEnvironment } from '../../src/borg/environment.ts';
import { worseExitCode } from '../../src/borg/exit-code.ts';
import { nearNames } from '../../src/borg/near-names.ts';
import { parsePassthrough, wordsFor } from '../../src/borg/passthrough.ts';

const parse = (line: string, borgRepo?: string) => parsePassthrough(line.split(' '), '/repos', borgRepo);
/** What borg gets, or the kind of answer. */
const given = (line: string, borgRepo?: string): string => {
  const words = line.split(' ');
  const request = parsePassthrough(words, '/repos', borgRepo);
  if (request.kind !== 'repository') return request.kind;
  if (request.meant === 'all') return 'all';
  return wordsFor(words, request, `/repos/${request.meant.path}`).join(' ');
};

describe('the repository in the words of a borg command', () => {
  test.each([
    ['list web01', 'list /repos/web01'],
    ['list web01::a:b/c::d', 'list /repos/web01::a:b/c::d'],
    ['list /repos/web01::arch', 'list /repos/web01::arch'],
    ['list file:///repos/web01', 'list /repos/web01'],
    ['list //repos/../etc', 'refused'],
    ['list team/one', 'list /repos/team/one'],
    ['list ./web01//', 'list /repos/web01'],
    ['check --last 3 web01', 'check --last 3 /repos/web01'],
    ['check --la 3 web01', 'check --la 3 /repos/web01'],
    ['check --last=3 web01', 'check --last=3 /repos/web01'],
    ['--lock-wait 5 list web01', '--lock-wait 5 list /repos/web01'],
    ['--debug list web01', '--debug list /repos/web01'],
    ['prune -nvd 7 web01', 'prune -nvd 7 /repos/web01'],
    ['prune -d7 web01', 'prune -d7 /repos/web01'],
    ['config -c web01 x', 'config -c /repos/web01 x'],
    ['list -- web01', 'list -- /repos/web01'],
    ['key export web01', 'key export /repos/web01'],
    ['key export web01 -', 'key export /repos/web01 -'],
    ['with-lock web01 list web02', 'with-lock /repos/web01 list web02'],
    ['create --exclude web02 web01::web03 web04', 'create --exclude web02 /repos/web01::web03 web04'],
    ['delete web01 web01', 'delete /repos/web01 web01'],
    ['check --repository-only all', 'all'],
    ['list all::x', 'all'],
    ['list /repos/all', 'list /repos/all'],
    ['list db01/x@7', 'list /repos/db01/x@7'],
  ])('%s', (line, wanted) => expect(given(line)).toBe(wanted));

  test.each(['--version', '-h', 'help', 'help patterns', 'benchmark cpu', 'list', 'key', 'check --last 3', 'version'])(
    '%s needs none',
    (line) => expect(given(line)).toBe('no-repository'),
  );

  test('is taken from BORG_REPO where the words leave it out', () => {
    expect(given('list ::arch', 'web01')).toBe('list /repos/web01::arch');
    expect(parse('list', 'web01')).toMatchObject({ meant: { path: 'web01' }, at: null });
    expect(given('list web02', 'web01')).toBe('list /repos/web02');
    expect(given('list', 'ssh://elsewhere/repo')).toBe('refused');
    expect(given('check', 'all')).toBe('all');
  });

  test.each([
    ['list ssh://a@host/repos/web01', 'not on this server'],
    ['list a@host:/repos/web01', 'not on this server'],
    ['list host:web01', 'not on this server'],
    ['create /mnt/elsewhere::x /', 'not below /repos'],
    ['list /repositories/web01', 'not below /repos'],
    ['list ../etc', 'cannot be'],
    ['list /repos/web01/../web02', 'cannot be'],
    ['list .borgserver/borg', 'cannot be'],
    ['list {hostname}', 'cannot be'],
    ['list /repos', 'no repository'],
    ['serve', 'sshd'],
    ['mount web01 /mnt', 'FUSE'],
    ['init all', 'one by one'],
    ['delete all', 'one by one'],
    ['frobnicate web01', "no command 'frobnicate'"],
    ['constructor web01', 'no command'],
    ['key steal web01', "no command 'key steal'"],
    ['list \u001b[2J/../x', '\\u{1b}'],
  ])('%j is refused', (line, reason) => {
    expect(parse(line)).toEqual({ kind: 'refused', message: expect.stringContaining(reason) });
  });

  test('without words an answer tells what may be given', () => {
    expect(parsePassthrough([], '/repos', undefined)).toEqual({
      kind: 'refused',
      message: expect.stringContaining('list web01'),
    });
  });
});

describe('a snapshot in the words of a borg command', () => {
  const meant = (text: string, borgRepo?: string) => {
    const request = parse(`list ${text}`, borgRepo);
    return request.kind === 'repository' && request.meant !== 'all' ? [request.meant.then, request.archive] : request;
  };

  test.each([
    ['web01@7', 'web01', '7', ''],
    ['web01@7::a@b', 'web01', '7', '::a@b'],
    ['/repos/db01/main@7/::a:b', 'db01/main', '7', '::a:b'],
    ['file:///repos/web01@7', 'web01', '7', ''],
    ['web01@2026-11-20T03:00Z', 'web01', '2026-11-20T03:00Z', ''],
    ['web01@2026-11-20T03:00:00+01:00::a', 'web01', '2026-11-20T03:00:00+01:00', '::a'],
    ['db01/x@7@8', 'db01/x@7', '8', ''],
    ['web01@yesterday', 'web01', 'yesterday', ''],
    ['web01@', 'web01', '', ''],
    ['/repos/all@7', 'all', '7', ''],
  ])('%s', (text, path, name, archive) => expect(meant(text)).toEqual([{ path, name }, archive]));

  test('is in BORG_REPO, too, and in no archive', () => {
    expect(meant('::a', 'web01@7')).toEqual([{ path: 'web01', name: '7' }, '::a']);
    expect(meant('web01::a@7')).toEqual([null, '::a@7']);
    expect(meant('x@7/web01')).toEqual([null, '']);
  });

  test.each([
    ['all@7', 'one repository'],
    ['@7', ''],
    ['web@host:/repos/web01', 'not on this server'],
    ['web@host:2', 'not on this server'],
    ['host:web01@7', 'not on this server'],
    ['ssh://web01@7', 'not on this server'],
    ['../web01@7', 'cannot be'],
    ['.@7', 'cannot be'],
    ['/etc@7', 'not below /repos'],
  ])('%s is none', (text, reason) => {
    const found = meant(text);
    if (reason === '') expect(found).toEqual([null, '']);
    else expect(found).toEqual({ kind: 'refused', message: expect.stringContaining(reason) });
  });
});

describe('near names', () => {
  test('are those with few other letters and those of the same host', () => {
    const names = ['web01', 'web02', 'web01.example.org', 'db', 'mail'];
    expect(nearNames('wbe01', names)).toEqual(['web01']);
    expect(nearNames('bwe10', names)).toEqual([]);
    expect(nearNames('web1', names)).toEqual(['web01']);
    expect(nearNames('web01.example.com', names)).toEqual(['web01', 'web01.example.org']);
    expect(nearNames('Mail', names)).toEqual(['mail']);
    expect(nearNames('', names)).toEqual([]);
  });
});

describe('the worst exit code', () => {
  test('is an error before a warning, in the modern codes, too', () => {
    expect([0, 1, 0].reduce(worseExitCode)).toBe(1);
    expect([1, 2, 1].reduce(worseExitCode)).toBe(2);
    expect([107, 13, 1].reduce(worseExitCode)).toBe(13);
    expect([0, 107].reduce(worseExitCode)).toBe(107);
    expect([2, 130].reduce(worseExitCode)).toBe(130);
  });
});

describe("borg's environment", () => {
  test('has secrets and answers, and nothing that moves its folders', () => {
    const env = borgEnvironment(
      {
        BORG_PASSPHRASE: 'p',
        BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
        TZ: 'UTC',
        BORG_HOST_ID: 'x',
        BORG_BASE_DIR: '/x',
        BORG_CACHE_DIR: '/x',
        BORG_REPO: '/x',
        BORG_SSHKEYS: 'k',
        PYTHONPATH: '/x',
        LD_PRELOAD: '/x',
        PATH: '/x',
        HOME: '/root',
      },
      { base: '/b', user: 'web01', hostId: 'h', repository: null },
    );
    expect(env).toEqual({
      BORG_PASSPHRASE: 'p',
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
      TZ: 'UTC',
      PATH: expect.stringContaining('/usr/bin'),
      HOME: '/b',
      USER: 'web01',
      LOGNAME: 'web01',
      BORG_BASE_DIR: '/b',
      BORG_HOST_ID: 'h',
    });
  });
});
