import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeName } from '../../src/accounts/name.ts';

const NOBODY: ReadonlySet<string> = new Set();
const accepted = (text: string, system = NOBODY): boolean => judgeName(text, system).ok;
const codeOf = (text: string, system = NOBODY): string => {
  const verdict = judgeName(text, system);
  return verdict.ok ? 'ok' : verdict.code;
};

describe('a name', () => {
  it.each(['web01', 'db.example.org', 'a', '_x', '1a', 'my-app_2', '__proto__', 'Web01', 'x'.repeat(100)])(
    'of a host or a project is taken: %s',
    (name) => expect(accepted(name)).toBe(true),
  );

  it.each([
    '',
    '.',
    '..',
    '.hidden',
    '-rf',
    'a b',
    'a:b',
    'a\nb',
    'web01\n',
    'a/b',
    '../etc',
    'a\0b',
    'ä',
    'x'.repeat(101),
    '12',
    '0',
    'a$',
    'a,b',
    'a\u202eb',
  ])('that would mean something else to passwd, a path or a shell is refused: %j', (name) =>
    expect(codeOf(name)).toBe('bad-name'),
  );

  it.each(['all', 'borg', 'borg-repo', 'borg-anything'])('of the server itself is refused: %s', (name) =>
    expect(codeOf(name)).toBe('reserved-name'),
  );

  it('of a system account or group is refused', () =>
    expect(codeOf('www-data', new Set(['www-data']))).toBe('reserved-name'));

  it('that is accepted has no character that passwd, group, sshd or sh would read otherwise', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.stringMatching(/^[\w.:\n-]{0,20}$/)),
        (text) => {
          const verdict = judgeName(text, NOBODY);
          if (verdict.ok) {
            expect(text).toMatch(/^[A-Za-z0-9_.-]+$/);
            expect(text).not.toMatch(/^[.-]/);
            expect(text).not.toMatch(/^\d+$/);
          } else expect(verdict.found + verdict.remedy).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
        },
      ),
    );
  });
});
