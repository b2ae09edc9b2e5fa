import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type State, stateOf } from '../../src/accounts/account.ts';
import type { AuthorizedKey } from '../../src/accounts/authorized-key.ts';
import { desire } from '../../src/accounts/desired.ts';
import type { IdentityPolicy } from '../../src/accounts/identity.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { intersect } from '../../src/accounts/narrow.ts';
import { STILLNESS_MS, withholdLosses } from '../../src/accounts/stillness.ts';
import { parseDatabase, renderDatabase } from '../../src/host/account-database.ts';
import { anyCircumstances, anyState, keyNumber, PGID, PUID } from './any.ts';
import { grantsBeyond } from './grants.ts';

const policy = (keepsOwners: boolean): IdentityPolicy => ({ kind: 'shared', pgid: PGID, keepsOwners });
const withOneUid = (state: State): State => stateOf([...state.values()].map((each) => ({ ...each, uid: PUID })));
const KEY: AuthorizedKey = { ...keyNumber(1), comment: '', options: {}, file: '/f', line: 1 };
const NOTHING = {
  folders: { repo: 'read', 'append-only': 'read', admin: 'read' },
  accounts: [],
  findings: [],
} as const;
const anyShared = anyState.map(withOneUid);

describe('with IDENTITIES=shared', () => {
  it('every account has PUID, and the remembered uids stay for the way back', () => {
    fc.assert(
      fc.property(anyCircumstances, fc.boolean(), (given, keepsOwners) => {
        const shared = desire({ ...given, identities: policy(keepsOwners) });
        for (const { uid } of shared.accounts.values()) expect(uid).toBe(PUID);
        expect(shared.registry).toMatchObject({ highWater: given.registry.highWater, uids: given.registry.uids });
      }),
    );
  });

  it('there are the same accounts with the same roles and keys as with uids of their own', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const wide = { ...given, uidRange: { first: 10_000, last: 59_999 } };
        const own = desire(wide).accounts;
        const shared = desire({ ...wide, identities: policy(true) }).accounts;
        expect([...shared.values()].map(({ uid: _, ...each }) => each)).toEqual(
          [...own.values()].map(({ uid: _, ...each }) => each),
        );
      }),
    );
  });

  it('nothing is ever repaired where the file system keeps no owners; where it does, all becomes PUID:PGID', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const there = new Set(given.folders.map(({ name }) => name));
        for (const each of desire({ ...given, identities: policy(false) }).preparations) {
          expect(each).toMatchObject({ action: 'create', asMounted: true });
          expect(there.has(each.name)).toBe(false);
        }
        for (const each of desire({ ...given, identities: policy(true) }).preparations)
          expect(each).toMatchObject({ uid: PUID, gid: PGID });
      }),
    );
  });

  it('nobody is taken for somebody else because of the uid: what runs and is wanted stays', () => {
    fc.assert(
      fc.property(anyShared, anyShared, (running, wanted) => {
        expect([...intersect(running, running)]).toEqual([...running]);
        const common = intersect(running, wanted);
        expect(grantsBeyond(common, running)).toEqual([]);
        expect(grantsBeyond(common, wanted)).toEqual([]);
        for (const [name, had] of running) {
          const blobs = new Set(wanted.get(name)?.keys.map(({ blob }) => blob));
          const plain = had.keys.some(({ blob, options }) => blobs.has(blob) && Object.keys(options).length === 0);
          if (plain) expect(common.has(name)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('the loss of one account still waits until its file is at rest', () => {
    const account = (name: string) => ({ name: name as AccountName, role: 'repo' as const, uid: PUID, keys: [KEY] });
    const both = stateOf([account('one'), account('other')]);
    const withheld = withholdLosses(both, stateOf([account('other')]), NOTHING, new Map(), 0, undefined, 'shared');
    expect([...withheld.accounts.keys()]).toEqual(['one', 'other']);
    expect(withheld.recheckIn).toBe(STILLNESS_MS);
  });

  it('the account database tells role, quota and sub-repositories by name, and all are in PGID', () => {
    const settings = { pgid: PGID, repos: '/repos', shared: true };
    fc.assert(
      fc.property(anyShared, (state) => {
        const { passwd, group } = renderDatabase(state, settings);
        expect(parseDatabase(passwd, settings)).toEqual([...state.values()].map(({ keys: _, ...entry }) => entry));
        const tenants = [...state.values()].filter(({ role }) => role !== 'admin').map(({ name }) => name);
        const members = /^borg-shared:x:1000:(.*)$/m.exec(group)?.[1];
        expect(members).toBe(tenants.length > 0 ? tenants.join(',') : undefined);
      }),
    );
  });
});
