import { describe, expect, test } from 'vitest';
import { stateOf } from '../../src/accounts/account.ts';
import { listKeys } from '../../src/accounts/key-list.ts';
import { boundSeen, type LastSeen } from '../../src/accounts/last-seen.ts';
import type { AccountName } from '../../src/accounts/name.ts';

const key = (number: number, expiryTime?: string) => ({
  type: 'ssh-ed25519',
  blob: `blob${number}`,
  fingerprint: `SHA256:${number}`,
  comment: `key ${number}`,
  options: expiryTime === undefined ? {} : { expiryTime },
  file: '/sshkeys/repos/web01',
  line: number,
});
const account = (name: string, uid: number, keys: ReturnType<typeof key>[]) => ({
  name: name as AccountName,
  role: 'repo' as const,
  uid,
  keys,
});
const state = stateOf([account('web01', 10_000, [key(1), key(2, '20200101Z')]), account('web02', 10_001, [key(1)])]);
const seen = (accountName: string, number: number, at: string): LastSeen => ({
  account: accountName,
  fingerprint: `SHA256:${number}`,
  at,
  address: '192.0.2.1',
});

describe('the list of keys', () => {
  const listed = listKeys(state, [seen('web01', 1, '2026-01-02T03:04:05.000Z')], new Date('2026-06-01'));

  test('tells the last login of each key for each account', () => {
    expect(listed.map((each) => [each.account, each.fingerprint, each.lastSeen?.at ?? null])).toEqual([
      ['web01', 'SHA256:1', '2026-01-02T03:04:05.000Z'],
      ['web01', 'SHA256:2', null],
      ['web02', 'SHA256:1', null],
    ]);
  });

  test('marks expired keys, and keys that open several accounts', () => {
    expect(listed.map((each) => [each.expired, each.alsoOpens])).toEqual([
      [false, ['web02']],
      [true, []],
      [false, ['web01']],
    ]);
  });
});

test('the record keeps every granted key, and of the others only the newest', () => {
  const others = Array.from({ length: 10_050 }, (_, index) =>
    seen('gone', index, new Date(index * 1000).toISOString()),
  );
  const kept = boundSeen([seen('web01', 1, '1970-01-01T00:00:00.000Z'), ...others], state);
  expect(kept).toHaveLength(10_001);
  expect(kept.filter((each) => each.account === 'web01')).toHaveLength(1);
  expect(kept.some((each) => each.fingerprint === 'SHA256:49' && each.account === 'gone')).toBe(false);
  expect(kept.some((each) => each.fingerprint === 'SHA256:10049')).toBe(true);
});
