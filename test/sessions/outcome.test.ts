import { expect, test } from 'vitest';
import { FAILURES, parseOutcome, repositoryOf } from '../../src/sessions/outcome.ts';

test('a line says who speaks, as the kernel says, and one of the known words', () => {
  expect(parseOutcome('10000 4711 123456 no-space w web01')).toEqual({
    ...{ uid: 10_000, process: { pid: 4711, start: 123_456 }, what: 'no-space', wrote: true, path: 'web01' },
  });
  expect(parseOutcome('10000 4711 123456 well r fleet/one two')).toMatchObject({
    ...{ what: 'well', wrote: false, path: 'fleet/one two' },
  });
  for (const what of Object.keys(FAILURES)) expect(parseOutcome(`1 2 3 ${what} r `)?.what).toBe(what);
});

test.each([
  '',
  'ready',
  '10000 4711 123456 everything-is-fine w web01',
  '10000 4711 123456 constructor w web01',
  '10000 4711 123456 no-space x web01',
  '10000 4711 no-space w web01',
  '10000 4711 123456 no-space',
  '-1 4711 123456 no-space w web01',
])('any other text is no outcome: %j', (line) => {
  expect(parseOutcome(line)).toBeNull();
});

test('no session can speak about another account’s repository', () => {
  const web01 = { account: 'web01', role: 'repo', subRepositories: false } as const;
  const fleet = { account: 'fleet', role: 'append-only', subRepositories: true } as const;
  const alice = { account: 'alice', role: 'admin', subRepositories: false } as const;
  for (const path of ['web01', 'db01', '', 'web01/inside', '../db01', '.borgserver', 'x'.repeat(5000)])
    expect(repositoryOf({ path }, web01)).toBe('web01');
  expect(repositoryOf({ path: 'fleet/one/two' }, fleet)).toBe('fleet/one/two');
  for (const path of ['db01', 'fleet/../db01', 'fleet//one', 'fleet/.hidden', `fleet${'/a'.repeat(9)}`, ''])
    expect(repositoryOf({ path }, fleet)).toBe('fleet');
  expect(repositoryOf({ path: 'db01' }, alice)).toBe('db01');
  for (const path of ['', '../etc', '.borgserver/x']) expect(repositoryOf({ path }, alice)).toBeNull();
});
