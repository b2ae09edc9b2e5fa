import { expect, test } from 'vitest';
import { foreignFindings } from '../../src/accounts/foreign-files.ts';

const PUID = 500;
const foreign = { text: 'config (0:0)', lockedSince: null, linked: false };
const adminsFolder = (name: string) =>
  foreignFindings([{ name, kind: 'folder', uid: PUID, gid: 501, mode: 0o2770, foreign }], new Set(), PUID);

test('root’s files in an admin’s repository are told with the command that cures them', () => {
  expect(adminsFolder('shared')).toEqual([
    expect.objectContaining({
      file: '/repos/shared',
      remedy: expect.stringMatching(/: borgserver doctor --fix$/),
    }),
  ]);
});

test.each(['a; touch pwned', 'a$(touch pwned)', "a'b", 'two words', 'line\nbreak', '\u001b]0;title\u0007'])(
  'a name like %j, which an admin’s client may choose, gets into no command and no terminal',
  (name) => {
    const [finding] = adminsFolder(name);
    expect(finding?.remedy).not.toContain(name);
    expect(finding?.file).toMatch(/^[ -~]+$/);
  },
);

test('a lock with an impossible date is told without a date, and fails no update', () => {
  const told = (lockedSince: number) => {
    const folder = { name: 'web01', kind: 'folder', uid: 10_000, gid: 10_000, mode: 0o2770 } as const;
    return foreignFindings([{ ...folder, foreign: { ...foreign, lockedSince } }], new Set(['web01']), PUID)[0]?.message;
  };
  expect(told(0)).toContain('works in it, since 1970-01-01T00:00:00.000Z; its clients');
  expect(told(1e18)).toContain('works in it; its clients');
});
