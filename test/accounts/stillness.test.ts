import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type State, stateOf } from '../../src/accounts/account.ts';
import type { AuthorizedKey } from '../../src/accounts/authorized-key.ts';
import type { Declaration } from '../../src/accounts/declaration.ts';
import { desire } from '../../src/accounts/desired.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { losers } from '../../src/accounts/narrow.ts';
import type { Role } from '../../src/accounts/role.ts';
import { overdue, PATIENCE_MS, STILLNESS_MS, type Waiting, withholdLosses } from '../../src/accounts/stillness.ts';
import { anyCircumstances, keyNumber } from './any.ts';
import { grantsBeyond } from './grants.ts';

const FOLDERS = { repo: 'read', 'append-only': 'read', admin: 'read' } as const;
const EMPTY: Declaration = { folders: FOLDERS, accounts: [], findings: [] };
const key = (number: number): AuthorizedKey => ({
  ...keyNumber(number),
  comment: '',
  options: {},
  file: '/f',
  line: 1,
});
const account = (name: string, role: Role, uid: number, ...numbers: number[]) => ({
  name: name as AccountName,
  role,
  uid,
  keys: numbers.map(key),
});
const declared = (name: string, version: string): Declaration => ({
  ...EMPTY,
  accounts: [{ name: name as AccountName, role: 'repo', file: '/f', keys: [], unreadable: false, version }],
});
const web01 = stateOf([account('web01', 'repo', 10000, 1)]);
const nobody: State<AuthorizedKey> = new Map();

describe('a loss seen by an event', () => {
  it('waits until the files of the account have been still for a while', () => {
    const first = withholdLosses(web01, nobody, EMPTY, new Map(), 1000);
    expect(first.accounts.has('web01' as AccountName)).toBe(true);
    expect(first.recheckIn).toBe(STILLNESS_MS);
    const early = withholdLosses(web01, nobody, EMPTY, first.waiting, 1000 + STILLNESS_MS - 1);
    expect(early.accounts.size).toBe(1);
    const late = withholdLosses(web01, nobody, EMPTY, early.waiting, 1000 + STILLNESS_MS);
    expect(late.accounts.size).toBe(0);
    expect(late.recheckIn).toBeNull();
  });

  it('is overdue once it has waited, if its files have not changed since: a look at them is enough', () => {
    const { waiting } = withholdLosses(web01, nobody, EMPTY, new Map(), 1000);
    const due = 1000 + STILLNESS_MS;
    expect([...overdue(waiting, EMPTY, due - 1)]).toEqual([]);
    expect([...overdue(waiting, EMPTY, due)]).toEqual(['web01']);
    expect([...overdue(waiting, declared('web01', '1'), due)]).toEqual([]);
    for (const role of ['repo', 'append-only', 'admin'] as const)
      expect([...overdue(waiting, { ...EMPTY, folders: { ...FOLDERS, [role]: 'missing' } }, due)]).toEqual([]);
  });

  it('counts in the end even if its file never comes to rest', () => {
    let waiting: Waiting = new Map();
    for (let now = 0; now < PATIENCE_MS; now += 100) {
      const step = withholdLosses(web01, nobody, declared('web01', String(now)), waiting, now);
      expect(step.accounts.size).toBe(1);
      waiting = step.waiting;
    }
    expect(withholdLosses(web01, nobody, declared('web01', 'last'), waiting, PATIENCE_MS).accounts.size).toBe(0);
  });

  it('of one account is not held up by another whose file keeps changing', () => {
    const both = stateOf([account('web01', 'repo', 10000, 1), account('db', 'repo', 10001, 2)]);
    const first = withholdLosses(both, nobody, declared('db', '1'), new Map(), 0);
    const later = withholdLosses(both, nobody, declared('db', '2'), first.waiting, STILLNESS_MS);
    expect([...later.accounts.keys()]).toEqual(['db']);
  });

  it('does not hold up the keys that are new', () => {
    const wanted = stateOf([account('web01', 'repo', 10000, 2)]);
    const { accounts } = withholdLosses(web01, wanted, EMPTY, new Map(), 0);
    expect(accounts.get('web01' as AccountName)?.keys.map(({ blob }) => blob)).toEqual([key(1).blob, key(2).blob]);
  });

  it('does not lend a new key the role that is about to go', () => {
    const admin = stateOf([account('web01', 'admin', 1000, 1)]);
    const wanted = stateOf([account('web01', 'append-only', 10000, 2)]);
    const { accounts } = withholdLosses(admin, wanted, EMPTY, new Map(), 0);
    expect(accounts.get('web01' as AccountName)?.keys.map(({ blob }) => blob)).toEqual([key(1).blob]);
  });

  it('does not lend a new key the quota or the sub-repositories that are about to go', () => {
    for (const directives of [{ quota: 50e9 }, { subRepositories: true as const }]) {
      const wide = stateOf([{ ...account('web01', 'repo', 10000, 1), ...directives }]);
      const wanted = stateOf([{ ...account('web01', 'repo', 10000, 2), quota: 20e9 }]);
      const { accounts } = withholdLosses(wide, wanted, EMPTY, new Map(), 0);
      expect(accounts.get('web01' as AccountName)).toEqual(wide.get('web01' as AccountName));
    }
  });

  it('does not wait if the repository was renamed: its uid belongs to the new name', () => {
    const wanted = stateOf([account('web02', 'repo', 10000, 1)]);
    expect([...withholdLosses(web01, wanted, EMPTY, new Map(), 0).accounts.keys()]).toEqual(['web02']);
  });

  it('never grants what is neither running nor wanted, and no uid to two', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const { declaration, running } = given;
        const wanted = desire(given).accounts;
        const { accounts } = withholdLosses(running, wanted, declaration, new Map(), 0);
        for (const account of accounts.values()) {
          for (const each of account.keys) {
            const one = stateOf([{ ...account, keys: [each] }]);
            expect(Math.min(grantsBeyond(one, running).length, grantsBeyond(one, wanted).length)).toBe(0);
          }
        }
        const tenants = [...accounts.values()].filter(({ role }) => role !== 'admin').map(({ uid }) => uid);
        expect(new Set(tenants).size).toBe(tenants.length);
      }),
      { numRuns: 1000 },
    );
  });

  it('counts completely once nothing waits any more', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const wanted = desire(given).accounts;
        const first = withholdLosses(given.running, wanted, given.declaration, new Map(), 0);
        expect(first.recheckIn === null).toBe(first.waiting.size === 0);
        const second = withholdLosses(given.running, wanted, given.declaration, first.waiting, PATIENCE_MS);
        expect([...second.accounts]).toEqual([...wanted]);
        for (const name of first.waiting.keys()) expect(losers(given.running, wanted).has(name)).toBe(true);
      }),
    );
  });
});
