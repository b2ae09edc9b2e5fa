import { describe, expect, it } from 'vitest';
import { stateOf } from '../../src/accounts/account.ts';
import { mergeDeclarations } from '../../src/accounts/conflict.ts';
import type { DeclaredAccount } from '../../src/accounts/declaration.ts';
import { diffStates } from '../../src/accounts/diff.ts';
import { type Directives, directivesText, losesDirectives, narrowerDirectives } from '../../src/accounts/directives.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { intersect, losers } from '../../src/accounts/narrow.ts';
import { readQuota, roleQuotas } from '../../src/accounts/quota.ts';
import { loginGroup, type Role } from '../../src/accounts/role.ts';
import { sizeText } from '../../src/text/size.ts';
import { keyNumber } from './any.ts';

const NAME = 'web01' as AccountName;
const GIGA = 1e9;
const key = { ...keyNumber(1), comment: '', options: {}, file: '/sshkeys/repos/web01', line: 2 };

const limited = (directives: Directives = {}, role: Role = 'repo') => ({ role, ...directives });
const account = (directives: Directives = {}, role: Role = 'repo') => ({
  ...{ name: NAME, role, uid: 10_000, keys: [key] },
  ...directives,
});
const state = (...given: Parameters<typeof account>) => stateOf([account(...given)]);
const declared = (more: Partial<DeclaredAccount>): DeclaredAccount => ({
  ...{ name: NAME, role: 'repo', file: '/sshkeys/repos/web01', keys: [key], unreadable: false, version: '1' },
  ...more,
});

describe('a quota', () => {
  it.each(['10M', '50G', '1.5T', '12345678', '2P', '1234.567M', '10000001'])('%s is written as it is read', (text) => {
    const bytes = readQuota(text);
    expect(typeof bytes === 'number' && readQuota(sizeText(bytes))).toBe(bytes);
  });

  it('is shown in the unit that an operator would write', () => {
    expect([50e9, 1.5e12, 12_345_678, 9_999_999_999].map(sizeText)).toEqual([
      '50G',
      '1.5T',
      '12345.678K',
      '9999999.999K',
    ]);
  });

  it('of a role is the last one in its arguments', () => {
    const words = { repo: ['--storage-quota=20G', '--progress', '--storage-quota=30G'], 'append-only': [], admin: [] };
    expect(roleQuotas(words)).toEqual({ repo: 30 * GIGA, 'append-only': Infinity, admin: Infinity });
  });
});

describe('the narrower directives', () => {
  const quotas = { repo: 20 * GIGA, 'append-only': Infinity, admin: Infinity };

  it('have the smaller quota; where one side sets none, the quota of its role is compared', () => {
    expect(narrowerDirectives(limited({ quota: 50 * GIGA }), limited({ quota: 10 * GIGA }))).toEqual({
      quota: 10 * GIGA,
    });
    expect(narrowerDirectives(limited(), limited({ quota: 50 * GIGA }))).toEqual({ quota: 50 * GIGA });
    expect(narrowerDirectives(limited(), limited({ quota: 50 * GIGA }), quotas)).toEqual({ quota: 20 * GIGA });
    expect(narrowerDirectives(limited(), limited(), quotas)).toEqual({});
  });

  it('have sub-repositories only where both have', () => {
    const sub = limited({ subRepositories: true });
    expect(narrowerDirectives(sub, sub)).toEqual({ subRepositories: true });
    expect(narrowerDirectives(sub, limited())).toEqual({});
    expect(narrowerDirectives(sub, limited({}, 'admin'))).toEqual({ subRepositories: true });
  });

  it('are a loss where the quota was larger, and where sub-repositories were allowed', () => {
    expect(losesDirectives(limited(), limited({ quota: 50 * GIGA }))).toBe(true);
    expect(losesDirectives(limited(), limited({ quota: 50 * GIGA }), quotas)).toBe(false);
    expect(losesDirectives(limited({ quota: 50 * GIGA }), limited(), quotas)).toBe(true);
    expect(losesDirectives(limited({ subRepositories: true }), limited())).toBe(true);
    expect(losesDirectives(limited(), limited({ subRepositories: true }))).toBe(false);
  });
});

it('an account that gets a smaller quota or loses sub-repositories is among the losers', () => {
  const running = state({ quota: 50 * GIGA, subRepositories: true });
  expect([...losers(running, state({ quota: 20 * GIGA, subRepositories: true }))]).toEqual([NAME]);
  expect([...losers(running, state({ quota: 50 * GIGA }))]).toEqual([NAME]);
  expect([...losers(running, state({ quota: 60 * GIGA, subRepositories: true }))]).toEqual([]);
});

it('a stopped update gives no larger quota than the one that runs, even if that is the role’s', () => {
  const quotas = { repo: 20 * GIGA, 'append-only': Infinity, admin: Infinity };
  expect(intersect(state(), state({ quota: 50 * GIGA }), quotas).get(NAME)?.quota).toBe(20 * GIGA);
  expect(intersect(state({ quota: 50 * GIGA }), state(), quotas).get(NAME)?.quota).toBe(20 * GIGA);
});

it('a file that cannot be read keeps its directives, and a bad directive does not lift the quota that runs', () => {
  const running = state({ quota: 50 * GIGA, subRepositories: true });
  const merged = (account: DeclaredAccount) =>
    mergeDeclarations(
      { folders: { repo: 'read', 'append-only': 'read', admin: 'read' }, accounts: [account], findings: [] },
      running,
    ).accounts[0];
  expect(merged(declared({ unreadable: true, keys: [] }))).toMatchObject({ quota: 50 * GIGA, subRepositories: true });
  expect(merged(declared({ doubtful: true }))).toMatchObject({ quota: 50 * GIGA });
  expect(merged(declared({ doubtful: true }))).not.toHaveProperty('subRepositories');
  expect(merged(declared({ doubtful: true, quota: 60 * GIGA }))).toMatchObject({ quota: 60 * GIGA });
  expect(merged(declared({}))).not.toHaveProperty('quota');
});

it('the directives of a role folder that cannot be read stay', () => {
  const running = state({ quota: 50 * GIGA, subRepositories: true });
  const declaration = {
    folders: { repo: 'unreadable', 'append-only': 'read', admin: 'read' },
    accounts: [],
    findings: [],
  } as const;
  expect(mergeDeclarations(declaration, running).accounts).toMatchObject([{ quota: 50 * GIGA, subRepositories: true }]);
});

it('a change of directives is told with the old and the new ones', () => {
  const [change] = diffStates(state({ quota: 50 * GIGA }), state({ subRepositories: true }));
  expect(change).toMatchObject({
    kind: 'account-changed',
    reason: 'quota=50G becomes sub-repositories=yes in its key file',
  });
  expect(diffStates(new Map(), state({ quota: 50 * GIGA }))[0]?.reason).toBe(
    '1 key in /sshkeys/repos/web01, quota=50G',
  );
  expect(directivesText({})).toBe('');
});

it('accounts with sub-repositories have a group of their own in either role; an admin does not', () => {
  const groups = (['repo', 'append-only', 'admin'] as const).map(
    (role) => loginGroup({ role, subRepositories: true }).name,
  );
  expect(groups).toEqual(['borg-repo-sub', 'borg-appendonly-sub', 'borg-admin']);
});
