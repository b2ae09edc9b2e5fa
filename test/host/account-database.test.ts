import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDatabase, renderDatabase } from '../../src/host/account-database.ts';
import { anyState, PGID } from '../accounts/any.ts';

const SETTINGS = { pgid: PGID, repos: '/repos' };
const rendered = (passwd: string) => parseDatabase(`${passwd}\n`, SETTINGS);

describe('the account database', () => {
  it('keeps role, uid, quota and sub-repositories of every account', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        const { passwd } = renderDatabase(state, SETTINGS);
        expect(parseDatabase(passwd, SETTINGS)).toEqual([...state.values()].map(({ keys: _keys, ...entry }) => entry));
      }),
    );
  });

  it('has the quota in the comment and sub-repositories in the primary group', () => {
    expect(rendered('web01:x:10000:770:borgserver:/repos/web01:/bin/sh')).toEqual([
      { name: 'web01', role: 'repo', uid: 10_000 },
    ]);
    expect(rendered('web01:x:10000:774:borgserver quota=50000000000:/repos/web01:/bin/sh')).toEqual([
      { name: 'web01', role: 'append-only', uid: 10_000, quota: 50e9, subRepositories: true },
    ]);
  });

  it.each([
    'web01:x:10000:770:borgserver quota=050000000:/repos/web01:/bin/sh',
    'web01:x:10000:770:borgserver quota=5e10:/repos/web01:/bin/sh',
    'web01:x:10000:770:borgserver quota=99999999999999999999:/repos/web01:/bin/sh',
    'web01:x:10000:770:borgserver quota=50000000,x:/repos/web01:/bin/sh',
    'web01:x:10000:770: quota=50000000:/repos/web01:/bin/sh',
    'alice:x:1000:1000:borgserver quota=50000000:/repos:/bin/sh',
    'web01:x:10000:775:borgserver:/repos/web01:/bin/sh',
  ])('does not take %s for its own', (line) => {
    expect(rendered(line)).toEqual([]);
  });
});
