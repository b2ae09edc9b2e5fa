import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { State } from '../../src/accounts/account.ts';
import { intersect, losers, narrowerOptions, sameOptions } from '../../src/accounts/narrow.ts';
import { narrowerRole } from '../../src/accounts/role.ts';
import { anyOptions, anyState, PUID } from './any.ts';
import { grantsBeyond } from './grants.ts';

describe('what two states have in common', () => {
  it('goes beyond neither: in no account, key, role or option', () => {
    fc.assert(
      fc.property(anyState, anyState, (running, wanted) => {
        const common = intersect(running, wanted);
        expect(grantsBeyond(common, running)).toEqual([]);
        expect(grantsBeyond(common, wanted)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('is the same if it is computed twice, and a state has itself in common with itself', () => {
    fc.assert(
      fc.property(anyState, anyState, (running, wanted) => {
        const common = intersect(running, wanted);
        expect([...intersect(running, common)]).toEqual([...common]);
        expect([...intersect(common, wanted)]).toEqual([...common]);
        expect([...intersect(running, running)]).toEqual([...running]);
      }),
    );
  });

  it('has the uid that is wanted, except that a tenant never gets an admin’s', () => {
    fc.assert(
      fc.property(anyState, anyState, (running, wanted) => {
        for (const [name, { role, uid }] of intersect(running, wanted)) {
          const [had, wants] = [running.get(name), wanted.get(name)];
          expect(uid).toBe(wants?.role === 'admin' && role !== 'admin' ? had?.uid : wants?.uid);
          expect(uid === PUID).toBe(role === 'admin');
        }
      }),
    );
  });

  it('is all that is granted to an account that is not among the losers', () => {
    fc.assert(
      fc.property(anyState, anyState, (running, wanted) => {
        const lost = losers(running, wanted);
        for (const [name, account] of running) {
          const widens = lost.has(name) ? [] : grantsBeyond(only(running, account.name), wanted);
          expect(widens).toEqual([]);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

const only = (state: State, name: string): State => new Map([...state].filter(([each]) => each === name));

describe('the narrower options', () => {
  it('satisfy both sides, or are none', () => {
    fc.assert(
      fc.property(anyOptions, anyOptions, (a, b) => {
        const both = narrowerOptions(a, b);
        if (!both) return;
        if (a.verifyRequired || b.verifyRequired) expect(both.verifyRequired).toBe(true);
        if (a.expiryTime ?? b.expiryTime) expect(both.expiryTime).toBeDefined();
        if (a.from ?? b.from) expect(both.from).toBeDefined();
        const again = narrowerOptions(both, a);
        expect(again !== null && sameOptions(again, both)).toBe(true);
      }),
    );
  });

  it('are the earlier of two expiry times, whatever their length', () => {
    expect(narrowerOptions({ expiryTime: '20300101' }, { expiryTime: '202912312359' })).toEqual({
      expiryTime: '202912312359',
    });
    expect(narrowerOptions({ expiryTime: '20300101Z' }, { expiryTime: '20300101' })).toBeNull();
  });

  it('are not made from lists with a negated pattern', () => {
    expect(narrowerOptions({ from: '*,!10.0.0.3' }, { from: '*' })).toBeNull();
  });
});

it('the narrower role is the lesser one, in any order', () => {
  expect(narrowerRole('admin', 'repo')).toBe('repo');
  expect(narrowerRole('repo', 'append-only')).toBe('append-only');
  expect(narrowerRole('append-only', 'admin')).toBe('append-only');
});
