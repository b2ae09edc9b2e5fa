import { plural } from '../text/list.ts';
import { compareText } from '../text/order.ts';
import type { Account, GrantedKey, State } from './account.ts';
import type { Preparation } from './desired.ts';
import { directivesText, sameDirectives } from './directives.ts';
import { sameOptions } from './narrow.ts';
import { ROLE_FOLDERS } from './role.ts';

export type ChangeKind =
  | 'account-added'
  | 'account-removed'
  | 'account-changed'
  | 'key-added'
  | 'key-removed'
  | 'key-changed'
  | 'repository-created'
  | 'repository-adopted'
  | 'repository-repaired'
  | 'database-repaired'
  | 'authorized-keys-repaired';

/** One thing that a pass does, and why. Every text in it is printable. */
export type Change = {
  readonly kind: ChangeKind;
  /** The account concerned; '' for the whole database. */
  readonly account: string;
  readonly reason: string;
  readonly role?: Account['role'];
  readonly fingerprint?: string;
  readonly comment?: string;
};

/** The changes of accounts and keys that lead from one state to another, sorted by account. Equal states give no changes. */
export const diffStates = (running: State, wanted: State): readonly Change[] => {
  const names = [...new Set([...running.keys(), ...wanted.keys()])].sort(compareText);
  return names.flatMap((name) => {
    const had = running.get(name);
    const wants = wanted.get(name);
    if (!had) return wants ? [added(wants)] : [];
    if (!wants) return [removed(had)];
    return had === wants ? [] : [...changed(had, wants), ...diffKeys(had, wants)];
  });
};

/** Where an account's keys are declared: BORG_SSHKEYS, or its file below /sshkeys. */
const sourceOf = (account: Account): string => {
  const files = new Set(account.keys.map((key) => key.file ?? folderOf(account)));
  return [...files].sort(compareText).join(' and ');
};

const folderOf = (account: Account): string => `/sshkeys/${ROLE_FOLDERS[account.role]}/${account.name}`;

const added = (account: Account): Change => ({
  kind: 'account-added',
  account: account.name,
  role: account.role,
  reason: `${plural(account.keys.length, 'key')} in ${sourceOf(account)}${withDirectives(account)}`,
});

const withDirectives = (account: Account): string => {
  const directives = directivesText(account);
  return directives === '' ? '' : `, ${directives}`;
};

const removed = (account: Account): Change => ({
  kind: 'account-removed',
  account: account.name,
  role: account.role,
  reason: `nothing grants it any more in ${folderOf(account)}${account.role === 'admin' ? '' : '; its repository stays'}`,
});

const changed = (had: Account, wants: Account): Change[] => {
  const base = { kind: 'account-changed' as const, account: wants.name, role: wants.role };
  if (had.role !== wants.role)
    return [
      { ...base, reason: `role ${had.role} becomes ${wants.role}: its key file is in ${ROLE_FOLDERS[wants.role]}/` },
    ];
  if (had.uid !== wants.uid)
    return [
      {
        ...base,
        reason: `uid ${had.uid} becomes ${wants.uid}: ${wants.role === 'admin' ? 'PUID' : 'the owner of its repository'}`,
      },
    ];
  return sameDirectives(had, wants)
    ? []
    : [
        {
          ...base,
          reason: `${directivesText(had) || 'nothing'} becomes ${directivesText(wants) || 'nothing'} in its key file`,
        },
      ];
};

const diffKeys = (had: Account, wants: Account): Change[] => {
  const before = new Map(had.keys.map((key) => [key.blob, key]));
  const after = new Map(wants.keys.map((key) => [key.blob, key]));
  const change = (kind: ChangeKind, key: GrantedKey, reason: string): Change => ({
    kind,
    account: wants.name,
    role: wants.role,
    fingerprint: key.fingerprint,
    comment: key.comment,
    reason,
  });
  return [
    ...had.keys
      .filter((key) => !after.has(key.blob))
      .map((key) => change('key-removed', key, `it is no longer in ${sourceOf(wants)}`)),
    ...wants.keys.flatMap((key) => {
      const old = before.get(key.blob);
      if (!old) return [change('key-added', key, `it is in ${place(key, wants)}`)];
      if (!sameOptions(old.options, key.options))
        return [change('key-changed', key, `its options changed in ${place(key, wants)}`)];
      if (old.comment !== key.comment)
        return [change('key-changed', key, `its comment changed in ${place(key, wants)}`)];
      return [];
    }),
  ];
};

const place = (key: GrantedKey, account: Account): string =>
  key.file ? `${key.file} line ${key.line ?? 1}` : folderOf(account);

/** What will be done to repository folders, in the words of a change. */
export const preparationChange = (preparation: Preparation): Change => {
  const kinds = {
    create: 'repository-created',
    adopt: 'repository-adopted',
    'repair-mode': 'repository-repaired',
    'repair-owners': 'repository-repaired',
  } as const;
  return { kind: kinds[preparation.action], account: preparation.name, reason: preparation.reason };
};
