import { type Account, type State, stateOf } from '../../src/accounts/account.ts';
import type { NarrowingOptions } from '../../src/accounts/authorized-key.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import type { Session } from '../../src/sessions/session.ts';
import { keyNumber } from '../accounts/any.ts';

/** A key of an account. The number tells keys apart, and is in the comment. */
export const keyOf = (number: number, options: NarrowingOptions = {}) => ({
  ...keyNumber(number),
  comment: `key ${number}`,
  options,
  file: '/sshkeys/repos/some',
  line: number,
});

/** An account with a uid and role that most tests do not care for. */
export const account = (name: string, keys: Account['keys'], more: Partial<Account> = {}): Account => ({
  name: name as AccountName,
  role: 'repo',
  uid: 10_000,
  keys,
  ...more,
});

export const state = (...accounts: readonly Account[]): State => stateOf(accounts);

/** A session that key 1 opened. */
export const session = (more: Partial<Session> = {}): Session => {
  const { account: name = 'web01', address = '192.0.2.7', port = 4000 } = more;
  return {
    ...{ peer: `${address}|${port}`, address, port, account: name, role: 'repo', uid: 10_000 },
    ...{ subRepositories: false, fingerprint: keyOf(1).fingerprint, comment: 'key 1', file: null, line: null },
    ...{ since: 0, steadySince: 0, process: { pid: port, start: 100 } },
    ...more,
  };
};
