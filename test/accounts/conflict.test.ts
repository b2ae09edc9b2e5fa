import { describe, expect, it } from 'vitest';
import { type State, stateOf } from '../../src/accounts/account.ts';
import type { AuthorizedKey, NarrowingOptions } from '../../src/accounts/authorized-key.ts';
import { mergeDeclarations } from '../../src/accounts/conflict.ts';
import type { Declaration, DeclaredAccount } from '../../src/accounts/declaration.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { ROLE_FOLDERS, type Role } from '../../src/accounts/role.ts';
import { keyNumber } from './any.ts';

const READ = { repo: 'read', 'append-only': 'read', admin: 'read' } as const;
const web01 = 'web01' as AccountName;

const file = (
  role: Role,
  entry: string,
  numbers: readonly number[],
  options: NarrowingOptions = {},
): DeclaredAccount => {
  const path = entry === 'BORG_SSHKEYS' ? entry : `/sshkeys/${ROLE_FOLDERS[role]}/${entry}`;
  const keys = numbers.map(
    (number, index): AuthorizedKey => ({ ...keyNumber(number), comment: '', options, file: path, line: index + 1 }),
  );
  const name = (entry === 'BORG_SSHKEYS' ? 'borg' : entry.replace(/\.pub$/, '')) as AccountName;
  return { name, role, file: path, keys, unreadable: false, version: '1' };
};
const unreadable = (account: DeclaredAccount): DeclaredAccount => ({ ...account, keys: [], unreadable: true });
const merge = (
  accounts: readonly DeclaredAccount[],
  running: State = new Map(),
  folders: Declaration['folders'] = READ,
) => mergeDeclarations({ folders, accounts, findings: [] }, running);
const codes = (merged: ReturnType<typeof merge>): string[] =>
  merged.findings.map(({ code, file: at }) => `${code} ${at}`);
const fingerprints = (merged: ReturnType<typeof merge>, name = web01): string[] | undefined =>
  merged.accounts.find((account) => account.name === name)?.keys.map(({ fingerprint }) => fingerprint);
const print = (number: number): string => keyNumber(number).fingerprint;

describe('one name declared twice', () => {
  it('in two roles is a conflict: it is told for each file, and the narrower role counts', () => {
    const merged = merge([file('repo', 'web01', [1]), file('append-only', 'web01', [2])]);
    expect(codes(merged)).toEqual([
      'conflicting-roles /sshkeys/repos-appendonly/web01',
      'conflicting-roles /sshkeys/repos/web01',
    ]);
    expect(merged.accounts[0]?.role).toBe('append-only');
  });

  it('as NAME and NAME.pub is a conflict', () => {
    expect(codes(merge([file('repo', 'web01', [1]), file('repo', 'web01.pub', [1])]))).toEqual([
      'conflicting-names /sshkeys/repos/web01',
      'conflicting-names /sshkeys/repos/web01.pub',
    ]);
  });

  it('is a conflict also if one of the files has no valid key or cannot be read', () => {
    expect(merge([file('repo', 'web01', [1]), file('admin', 'web01', [])]).conflicting.has(web01)).toBe(true);
    expect(merge([file('repo', 'web01', [1]), unreadable(file('admin', 'web01', []))]).conflicting.has(web01)).toBe(
      true,
    );
  });

  it('leaves out a key if the two files allow it from places that have nothing in common', () => {
    const files = [
      file('repo', 'web01', [1, 2], { from: '10.0.0.1' }),
      file('admin', 'web01', [1], { from: '10.0.0.2' }),
    ];
    expect(fingerprints(merge(files))).toEqual([print(2)]);
  });

  it('is no conflict for borg: its keys may be in BORG_SSHKEYS and in admins/borg', () => {
    const merged = merge([file('admin', 'borg', [1]), file('admin', 'BORG_SSHKEYS', [2, 1])]);
    expect(merged.findings).toEqual([]);
    expect(fingerprints(merged, 'borg' as AccountName)?.sort()).toEqual([print(1), print(2)].sort());
  });
});

describe('what cannot be read', () => {
  const running = stateOf([
    { name: web01, role: 'repo', uid: 10000, keys: [{ ...keyNumber(1), comment: '', options: {} }] },
  ]);

  it('keeps the keys that run', () => {
    expect(fingerprints(merge([unreadable(file('repo', 'web01', []))], running))).toEqual([print(1)]);
  });

  it('gives nothing to an account that runs in another role', () => {
    expect(fingerprints(merge([unreadable(file('admin', 'web01', []))], running))).toEqual([]);
  });

  it('freezes the accounts of its folder, and no others', () => {
    const merged = merge([], running, { ...READ, repo: 'missing' });
    expect(fingerprints(merged)).toEqual([print(1)]);
    expect(merge([], running, { ...READ, admin: 'unreadable' }).accounts).toEqual([]);
  });

  it('conflicts with a file that claims a frozen account for another role', () => {
    expect(codes(merge([file('admin', 'web01', [2])], running, { ...READ, repo: 'unreadable' }))).toEqual([
      'conflicting-roles /sshkeys/admins/web01',
      'conflicting-roles /sshkeys/repos/web01',
    ]);
  });
});
