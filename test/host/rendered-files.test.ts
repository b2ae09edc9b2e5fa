import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Account, stateOf } from '../../src/accounts/account.ts';
import { parseLine } from '../../src/accounts/authorized-key-line.ts';
import { judgeName } from '../../src/accounts/name.ts';
import { ROLES } from '../../src/accounts/role.ts';
import { parseDatabase, renderDatabase } from '../../src/host/account-database.ts';
import { renderAuthorizedKeys } from '../../src/host/authorized-keys.ts';
import { parseKeyFile } from '../../src/keys/key-file.ts';
import { keyNumber } from '../accounts/any.ts';

const SETTINGS = { pgid: 1000, repos: '/repos' };
const fewest = { numRuns: 300 };

/** Text that was made to break out of a line, a field or a word. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        '\n',
        '\r',
        '\0',
        ':',
        ',',
        ' ',
        '\t',
        '"',
        '\\',
        '\u2028',
        '\u0085',
        '\u202e',
        '\u001b[2J',
        '😀',
        'a',
        'ssh-ed25519',
        'command="id"',
        'root:x:0:0::/:/bin/sh',
        '#',
      ),
      { maxLength: 250 },
    )
    .map((parts) => parts.join('')),
);
const anyName = fc.oneof(
  hostile,
  fc.stringMatching(/^[\w.:\n-]{1,12}$/),
  fc.constantFrom('__proto__', 'constructor', 'x'.repeat(100), '-rf', '..'),
);
const beforeKey = fc.oneof(
  fc.constant(''),
  fc.constant('from="10.0.0.0/8" '),
  hostile.map((text) => `from="${text}" `),
  hostile,
);

/** Accounts as they come out of the tree: names that were judged, keys that were read. */
const anyAccounts = fc
  .array(fc.record({ text: anyName, role: fc.constantFrom(...ROLES), before: beforeKey, comment: hostile }), {
    maxLength: 6,
  })
  .map((entries) => {
    const accounts = new Map<string, Account>();
    for (const [index, { text, role, before, comment }] of entries.entries()) {
      const verdict = judgeName(text, new Set());
      const { type, blob } = keyNumber(index);
      const { keys } = parseKeyFile(
        Buffer.from(`${before}${type} ${blob} ${comment}\n${type} ${blob} ${comment}`),
        '/f',
      );
      if (verdict.ok && keys.length > 0)
        accounts.set(verdict.name, { name: verdict.name, role, uid: role === 'admin' ? 1000 : 10000 + index, keys });
    }
    return stateOf(accounts.values());
  });

const linesOf = (text: string): string[] => {
  expect(text === '' || text.endsWith('\n')).toBe(true);
  return text.split('\n').slice(0, -1);
};

describe('whatever names, options and comments are', () => {
  it('passwd, group and shadow have one line an account, with the exact number of fields', () => {
    fc.assert(
      fc.property(anyAccounts, (state) => {
        const { passwd, group, shadow } = renderDatabase(state, SETTINGS);
        const tenants = [...state.values()].filter(({ role }) => role !== 'admin').length;
        const admins = state.size - tenants;
        expect(linesOf(passwd)).toHaveLength(state.size);
        expect(linesOf(shadow)).toHaveLength(state.size);
        expect(linesOf(group)).toHaveLength(tenants + (admins > 0 ? 1 : 0));
        for (const line of linesOf(passwd)) {
          const [name, password, uid, gid, , home, shell, ...rest] = line.split(':');
          expect([password, shell, rest]).toEqual(['x', '/bin/sh', []]);
          expect(Number(uid)).toBeGreaterThanOrEqual(1000);
          expect(['770', '771', '1000']).toContain(gid);
          expect(['/repos', `/repos/${name}`]).toContain(home);
        }
        for (const line of linesOf(group)) {
          const [, , , members, ...rest] = line.split(':');
          expect(rest).toEqual([]);
          for (const member of members?.split(',') ?? []) expect(state.has(member as never)).toBe(true);
        }
        for (const line of linesOf(shadow)) expect(line).toMatch(/^[A-Za-z0-9_.-]+:\*:::::::$/);
      }),
      fewest,
    );
  });

  it('admins are in the group of a repository without an account, whatever its name is, and nobody else is', () => {
    fc.assert(
      fc.property(anyAccounts, fc.string(), (state, folder) => {
        const known = linesOf(renderDatabase(state, SETTINGS).group);
        const more = linesOf(renderDatabase(state, SETTINGS, { [folder]: 59_999 }).group).slice(known.length);
        const admins = [...state.values()].filter(({ role }) => role === 'admin').map(({ name }) => name);
        expect(more).toEqual(admins.length > 0 ? [`borg-59999:x:59999:${admins.join(',')}`] : []);
      }),
      fewest,
    );
  });

  it('authorized_keys has one line a key, that begins with restrict and holds no option of the operator’s but the narrowing ones', () => {
    fc.assert(
      fc.property(anyAccounts, (state) => {
        for (const account of state.values()) {
          const lines = linesOf(renderAuthorizedKeys(account));
          expect(lines).toHaveLength(account.keys.length);
          for (const line of lines) {
            expect(line).toMatch(
              /^restrict(,from="[^"\\\s]*")?(,expiry-time="\d{8,14}Z?")?(,verify-required)? ssh-ed25519 AAAA[A-Za-z0-9+/=]+( [^\p{C}\p{Zl}\p{Zp}]*)?$/u,
            );
            expect(Buffer.byteLength(line)).toBeLessThan(8192);
          }
        }
      }),
      fewest,
    );
  });

  it('what is written is read back as it was, so that a pass sees no drift where there is none', () => {
    fc.assert(
      fc.property(anyAccounts, (state) => {
        const { passwd } = renderDatabase(state, SETTINGS);
        expect(parseDatabase(passwd, SETTINGS)).toEqual(
          [...state.values()].map(({ name, role, uid }) => ({ name, role, uid })),
        );
        for (const account of state.values()) {
          const read = linesOf(renderAuthorizedKeys(account)).map(parseLine);
          expect(read).toEqual(account.keys.map(({ file: _file, line: _line, ...key }) => key));
        }
      }),
      fewest,
    );
  });
});

describe('reading passwd back', () => {
  it.each([
    'web01:x:10000:1234:borgserver:/repos/web01:/bin/sh',
    'web01:x:10000:770:borgserver:/repos/db:/bin/sh',
    'web01:x:10000:770:borgserver:/repos/web01:/bin/bash',
    'web01:x:010000:770:borgserver:/repos/web01:/bin/sh',
    'web01::10000:770:borgserver:/repos/web01:/bin/sh',
    'web01:x:10000:770:borgserver:/repos/web01:/bin/sh:',
    '-x:x:10000:770:borgserver:/repos/-x:/bin/sh',
    'web01:x:10000:1000:borgserver:/repos/web01:/bin/sh',
    '',
  ])('takes no line that the server would not have written: %j', (line) => {
    expect(parseDatabase(`${line}\n`, SETTINGS)).toEqual([]);
  });
});
