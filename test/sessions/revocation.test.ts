import { describe, expect, it } from 'vitest';
import type { Account } from '../../src/accounts/account.ts';
import { mayHoldLostPrivileges, nextExpiry, noteLosses, reasonToEnd } from '../../src/sessions/revocation.ts';
import type { Session } from '../../src/sessions/session.ts';
import { account, keyOf, session, state } from './states.ts';

const NOW = new Date('2026-01-01T12:00:00Z');
const accountOf = ({ keys = [keyOf(1)], ...more }: Partial<Account> = {}) => account('web01', keys, more);
const reason = (given: Partial<Session>, ...accounts: readonly Account[]) =>
  reasonToEnd(session(given), state(...accounts), NOW);

describe('a session goes on', () => {
  it('while its account has its key, even if another account has another role and there are other keys', () => {
    expect(reason({}, accountOf({ keys: [keyOf(2), keyOf(1)] }))).toBe(null);
  });

  it('when its account may do more', () => {
    expect(reason({ role: 'append-only' }, accountOf({ role: 'repo' }))).toBe(null);
    expect(reason({}, accountOf({ subRepositories: true }))).toBe(null);
  });

  it('when only its quota changes', () => {
    expect(reason({}, accountOf({ quota: 10_000_000 }))).toBe(null);
  });

  it('in the last second of its key', () => {
    expect(reason({}, accountOf({ keys: [keyOf(1, { expiryTime: '20260101120000Z' })] }))).toBe(null);
  });
});

describe('a session ends', () => {
  it.each([
    ['when its account is gone', {}, [], 'its account is gone'],
    ['when another account has its key', {}, [account('other', [keyOf(1)])], 'its account is gone'],
    ['when its key is gone', {}, [accountOf({ keys: [keyOf(2)] })], 'its key is gone'],
    ['when it must be append-only', {}, [accountOf({ role: 'append-only' })], 'its role repo became append-only'],
    [
      'when an admin becomes a tenant',
      { role: 'admin', uid: 1000 },
      [accountOf({ uid: 1000 })],
      'its role admin became repo',
    ],
    ['when it has another user id', {}, [accountOf({ uid: 10_001 })], 'its account got another user id'],
    [
      'when it may no longer have several repositories',
      { subRepositories: true },
      [accountOf()],
      'its account may no longer have several repositories',
    ],
    [
      'when its account was unknown as it logged in, even if the account is known by now',
      { role: null, uid: null },
      [accountOf()],
      'its account was not there when it logged in',
    ],
    [
      'when its address is no longer allowed',
      {},
      [accountOf({ keys: [keyOf(1, { from: '192.0.2.8' })] })],
      'its address is no longer in from=',
    ],
    [
      'when its key has expired',
      {},
      [accountOf({ keys: [keyOf(1, { expiryTime: '20260101115959Z' })] })],
      'its key has expired',
    ],
  ] as const)('%s', (_, given, accounts, why) => {
    expect(reason(given, ...accounts)).toBe(why);
  });
});

it('the next expiry is the first that has not passed', () => {
  const keys = ['20260101110000Z', '20260101140000Z', '20260101130000Z'].map((expiryTime, index) =>
    keyOf(index, { expiryTime }),
  );
  expect(nextExpiry(state(accountOf({ keys }), account('other', [keyOf(1)])), NOW)).toBe(
    Date.parse('2026-01-01T13:00:00Z'),
  );
  expect(nextExpiry(state(accountOf()), NOW)).toBe(null);
});

describe('a login that began before its account lost a privilege', () => {
  const note = (before: ReturnType<typeof accountOf>, ...after: readonly Account[]) =>
    noteLosses(state(before), state(...after), new Map(), 5000, 9000);

  it.each([
    ['its role', accountOf(), accountOf({ role: 'append-only' })],
    ['its user id', accountOf(), accountOf({ uid: 10_001 })],
    ['its repositories', accountOf({ subRepositories: true }), accountOf()],
  ] as const)('is recognised by the start of its process: %s', (_, before, after) => {
    const notes = note(before, after);
    expect(mayHoldLostPrivileges('web01', 4999, notes)).toBe(true);
    expect(mayHoldLostPrivileges('web01', 5000, notes)).toBe(true);
    expect(mayHoldLostPrivileges('web01', 5001, notes)).toBe(false);
    expect(mayHoldLostPrivileges('other', 1, notes)).toBe(false);
  });

  it('is remembered for an account that was gone and came back', () => {
    const gone = note(accountOf());
    const back = noteLosses(state(), state(accountOf()), gone, 5100, 9000);
    expect(mayHoldLostPrivileges('web01', 4000, back)).toBe(true);
  });

  it('is forgotten when no login can last that long, so that the notes do not grow', () => {
    expect([...noteLosses(state(), state(), note(accountOf()), 14_001, 9000)]).toEqual([]);
  });

  it('is not noted for an account that only gains, or only loses a key', () => {
    expect([...note(accountOf({ role: 'append-only' }), accountOf())]).toEqual([]);
    expect([...note(accountOf(), accountOf({ keys: [] }))]).toEqual([]);
  });
});
