import type { State } from '../../src/accounts/account.ts';
import type { NarrowingOptions } from '../../src/accounts/authorized-key.ts';
import type { Role } from '../../src/accounts/role.ts';

const WIDTH: Readonly<Record<Role, number>> = { 'append-only': 0, repo: 1, admin: 2 };

/**
 * What `state` grants and `limit` does not. It is computed here independently of the code under test. Comments grant nothing.
 * A from= list grants each of its patterns. A list with a negated pattern is compared only as a whole.
 */
export const grantsBeyond = (state: State, limit: State): string[] =>
  [...state].flatMap(([name, account]) => {
    const allowed = limit.get(name);
    if (!allowed) return [`account ${name}`];
    if (WIDTH[account.role] > WIDTH[allowed.role]) return [`role ${account.role} of ${name}`];
    if ((account.quota ?? Infinity) > (allowed.quota ?? Infinity)) return [`quota ${account.quota} of ${name}`];
    if (account.subRepositories && !allowed.subRepositories && allowed.role !== 'admin')
      return [`sub-repositories of ${name}`];
    return account.keys.flatMap((key) => {
      const other = allowed.keys.find(({ blob }) => blob === key.blob);
      if (!other) return [`key ${key.fingerprint} of ${name}`];
      return roomBeyond(key.options, other.options) ? [`options ${JSON.stringify(key.options)} of ${name}`] : [];
    });
  });

const roomBeyond = (options: NarrowingOptions, limit: NarrowingOptions): boolean =>
  Boolean(limit.verifyRequired && !options.verifyRequired) ||
  fromBeyond(options.from, limit.from) ||
  expiryBeyond(options.expiryTime, limit.expiryTime);

const fromBeyond = (from: string | undefined, limit: string | undefined): boolean => {
  if (limit === undefined || from === limit) return false;
  if (from === undefined || from.includes('!') || limit.includes('!')) return true;
  return !from.split(',').every((pattern) => limit.split(',').includes(pattern));
};

const expiryBeyond = (expiry: string | undefined, limit: string | undefined): boolean => {
  if (limit === undefined || expiry === limit) return false;
  if (expiry === undefined || expiry.endsWith('Z') !== limit.endsWith('Z')) return true;
  const moment = (text: string): number => Number(text.replace('Z', '').padEnd(14, '0'));
  return moment(expiry) > moment(limit);
};
