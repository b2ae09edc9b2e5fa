import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desire } from '../../src/accounts/desired.ts';
import { diffStates } from '../../src/accounts/diff.ts';
import { intersect } from '../../src/accounts/narrow.ts';
import { anyCircumstances, PUID, shuffled, TAKEN } from './any.ts';
import { grantsBeyond } from './grants.ts';

const asText = (desired: ReturnType<typeof desire>): string =>
  JSON.stringify({ ...desired, accounts: [...desired.accounts] });

describe('the desired state', () => {
  it('does not depend on the order in which files and folders are listed', () => {
    fc.assert(
      fc.property(anyCircumstances, fc.nat(), (given, seed) => {
        const { declaration, folders, running } = given;
        const again = {
          ...given,
          declaration: {
            ...declaration,
            accounts: shuffled(declaration.accounts, seed),
            findings: shuffled(declaration.findings, seed),
          },
          folders: shuffled(folders, seed),
          running: new Map(shuffled([...running], seed)),
        };
        expect(asText(desire(again))).toBe(asText(desire(given)));
      }),
      { numRuns: 500 },
    );
  });

  it('gives every tenant a uid of its own that is nobody else’s, and every admin PUID', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const accounts = [...desire(given).accounts.values()];
        const tenants = accounts.filter(({ role }) => role !== 'admin').map(({ uid }) => uid);
        expect(new Set(tenants).size).toBe(tenants.length);
        for (const uid of tenants) expect(uid === PUID || TAKEN.has(uid)).toBe(false);
        expect(accounts.filter(({ role, uid }) => role === 'admin' && uid !== PUID)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('has only keys that are declared, or that run and could not be read', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const { declaration, running } = given;
        for (const account of desire(given).accounts.values()) {
          expect(account.keys.length).toBeGreaterThan(0);
          for (const key of account.keys) {
            const here = declaration.accounts.filter(({ name }) => name === account.name);
            const declared = here.some(({ keys }) => keys.some(({ blob }) => blob === key.blob));
            const folders = Object.values(declaration.folders);
            const unread = folders.some((state) => state !== 'read') || here.some(({ unreadable }) => unreadable);
            const runs = running.get(account.name)?.keys.some(({ blob }) => blob === key.blob) ?? false;
            expect(declared || (unread && runs)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('closes a name with two declarations unless the pass is stopped', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const desired = desire({ ...given, stopOn: 'nothing' });
        expect(desired.stopped).toBe(false);
        const files = given.declaration.accounts.filter(({ file }) => file !== 'BORG_SSHKEYS');
        for (const { name } of files) {
          if (files.filter((other) => other.name === name).length > 1) expect(desired.accounts.has(name)).toBe(false);
        }
      }),
    );
  });

  it('of a stopped pass grants nothing that does not run', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const desired = desire(given);
        const target = intersect(given.running, desired.accounts);
        if (!desired.stopped) return;
        expect(grantsBeyond(target, given.running)).toEqual([]);
        const added = diffStates(given.running, target).filter(
          ({ kind }) => kind === 'account-added' || kind === 'key-added',
        );
        expect(added).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('prepares folders only for tenants, with the tenant’s uid, and no folder that is as it should be', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const desired = desire(given);
        for (const { name, uid } of desired.preparations) {
          const account = desired.accounts.get(name);
          expect(account?.role).not.toBe('admin');
          expect(account?.uid).toBe(uid);
          expect(given.folders.find((folder) => folder.name === name)?.kind).not.toBe('other');
        }
      }),
    );
  });
});

describe('the changes between two states', () => {
  it('are none for equal states, and some for different ones', () => {
    fc.assert(
      fc.property(anyCircumstances, (given) => {
        const { accounts } = desire(given);
        expect(diffStates(accounts, accounts)).toEqual([]);
        expect(diffStates(accounts, new Map([...accounts].map(([name, account]) => [name, { ...account }])))).toEqual(
          [],
        );
        const same =
          grantsBeyond(accounts, given.running).length === 0 && grantsBeyond(given.running, accounts).length === 0;
        if (!same) expect(diffStates(given.running, accounts)).not.toEqual([]);
      }),
    );
  });
});
