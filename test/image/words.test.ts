import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';

// What the launcher makes of words. A client's words choose one of four answers. The server's own words set limits.

const read = (asked: readonly (string | readonly string[])[]): unknown[] =>
  JSON.parse(
    execFileSync(findBorg().python, ['-I', join(import.meta.dirname, 'words.py')], {
      input: JSON.stringify(asked),
      encoding: 'utf8',
    }),
  ) as unknown[];

const MANY = 'x '.repeat(5000);

const REQUESTS: readonly (readonly [command: string, answer: string, levels?: readonly string[]])[] = [
  ['', 'refused'],
  ['   ', 'refused'],
  ['serve', 'refused'],
  ['borg serve', 'serve'],
  ['borg serve --umask=077 --debug', 'serve', ['--debug']],
  ['borg serve --info --error --info', 'serve', ['--info', '--error', '--info']],
  ["BORG_X=1 A_2=b '/opt/my borg/borg' serve", 'serve'],
  ['"borg" "serve" "--info"', 'serve', ['--info']],
  ['ssh proxy borg-1.4 serve', 'serve'],
  ['borg1.4\tserve\n--warning', 'serve', ['--warning']],
  // None of these options comes through: they could open a file, lift a restriction or turn a level into something else.
  ['borg serve --restrict-to-path / --append-only --storage-quota 1P', 'serve'],
  ['borg serve --exclude-from=/dev/zero --debug=1 --debug-topic x --info;id', 'serve'],
  ['borg serve --rest', 'borg2'],
  ['borg2 serve --rest --debug', 'borg2', ['--debug']],
  ['borg --version', 'version'],
  ['/usr/local/bin/borg14 -V', 'version'],
  ['C:\\borg\\borg.exe --version', 'version'],
  ['X=1 borg --version', 'version'],
  ['borg --version serve', 'serve'],
  ['borg --version; id', 'refused'],
  ['notborg --version', 'refused'],
  ['borg', 'refused'],
  ['serve serve', 'serve'],
  ['$(borg) reserve --serve', 'refused'],
  ['borg\0serve', 'refused'],
  ['sh -c "id"', 'refused'],
  ['scp -t /', 'refused'],
  ['=serve', 'refused'],
  ['A=b', 'refused'],
  ['A=b serve', 'refused'],
  // What comes after the 4096th byte does not count.
  [`borg ${'ö'.repeat(2045)} serve`, 'refused'],
  [`borg ${'o'.repeat(2045)} serve`, 'serve'],
  [`${MANY}serve`, 'refused'],
  [`borg serve ${MANY}--debug`, 'serve'],
];

test('whatever a client asks for, it gets one of four answers', () => {
  const found = read(REQUESTS.map(([command]) => command));
  expect(REQUESTS.map(([command], index) => [command, found[index]])).toEqual(
    REQUESTS.map(([command, answer, levels = []]) => [command, { answer, levels }]),
  );
  // borg was not loaded for this.
  expect(found.at(-1)).toEqual([]);
});

const NONE = { limits: null, reach: null, box: 'auto', maintenance: false };
const SESSION = ['--session', '1.2.3.4 5 6.7.8.9 22', '--account', 'web01', '--sessions', '50', '--memory', 'auto'];
const LIMITS = { account: 'web01', sessions: 50, memory: 'auto', min_free: null, repositories: null };
const WORDS: readonly (readonly [words: readonly string[], found: object])[] = [
  [[], { error: 'ValueError' }],
  [['serve'], { error: 'ValueError' }],
  [['--'], { ...NONE, borg: [], serves: false, isAdmin: true, ownPath: '' }],
  [['--', 'list', '--', 'serve'], { ...NONE, borg: ['list', '--', 'serve'], serves: false }],
  [['--maintenance', '--', 'compact'], { ...NONE, borg: ['compact'], maintenance: true, serves: false }],
  [
    [...SESSION, '--', 'serve', '--restrict-to-repository', '/repos/web01'],
    { ...NONE, limits: LIMITS, serves: true, isAdmin: false, ownPath: '/repos/web01' },
  ],
  [
    [
      ...SESSION,
      '--min-free',
      '1000',
      '--repositories',
      '7',
      '--box',
      'required',
      '--',
      'serve',
      '--restrict-to-path',
      '/repos/web01',
    ],
    {
      ...NONE,
      limits: { ...LIMITS, min_free: '1000', repositories: 7 },
      box: 'required',
      isAdmin: false,
      ownPath: '/repos/web01/NAME',
    },
  ],
  [
    [...SESSION, '--', 'serve', '--restrict-to-path', '/repos'],
    { limits: LIMITS, serves: true, isAdmin: true, ownPath: '/repos/NAME' },
  ],
  // There is no session if a limit is missing or is no number.
  [['--sessions', '50', '--', 'serve'], { error: 'KeyError' }],
  [['--account', 'web01', '--sessions', 'many', '--memory', 'auto', '--', 'serve'], { error: 'ValueError' }],
  [[...SESSION, '--repositories', '', '--', 'serve'], { error: 'ValueError' }],
  // What comes after "--" sets no limit. A value that looks like an option is still a value.
  [['--', 'serve', '--sessions', '1', '--account', 'web02', '--maintenance'], { ...NONE, serves: true }],
  [
    ['--session', '--maintenance', ...SESSION.slice(2), '--', 'serve'],
    { limits: LIMITS, maintenance: false, serves: true },
  ],
  [
    ['--root', '/repos', '--repository', '/repos/a', '--base', '/b', '--reach', 'machine', '--', 'check'],
    { limits: null, reach: { root: '/repos', repository: '/repos/a', base: '/b', reach: 'machine' }, serves: false },
  ],
];

test('the words of the server are all read, and those after "--" are borg’s', () => {
  const found = read(WORDS.map(([words]) => words));
  for (const [index, [words, wanted]] of WORDS.entries()) expect(found[index], words.join(' ')).toMatchObject(wanted);
});
