import { describe, expect, it } from 'vitest';
import type { Registry } from '../../src/accounts/identity.ts';
import { judgeDisk, mergeIdentities } from '../../src/accounts/repositories-witness.ts';

const registry = (uids: Record<string, number>, kept: readonly string[] = []): Registry => ({
  highWater: Math.max(0, ...Object.values(uids)),
  uids,
  roles: ['repo'],
  repositories: { kept, lost: [] },
});
const WITNESS = { disk: 'a', registry: registry({ db: 10001, web: 10002 }, ['db', 'web']) };
const judge = (disk: string | null, ...filled: readonly string[]) =>
  judgeDisk(WITNESS, { disk, filled: new Set(filled) });

describe('what is kept beside the key tree', () => {
  it('knows the disk by its mark, whatever is left on it: its own record tells what is lost', () => {
    expect(judge('a', 'db', 'web')).toEqual({ kind: 'known' });
    expect(judge('a')).toEqual({ kind: 'known' });
  });

  it('misses an empty folder, half of the repositories without a mark, and another disk with the same names', () => {
    expect(judge(null)).toEqual({ kind: 'doubtful', other: false, expected: 2, missing: ['db', 'web'] });
    expect(judge(null, 'web', 'new')).toEqual({ kind: 'doubtful', other: false, expected: 2, missing: ['db'] });
    expect(judge('b', 'other')).toEqual({ kind: 'doubtful', other: true, expected: 2, missing: ['db', 'web'] });
    expect(judge('b', 'db', 'web')).toEqual({ kind: 'doubtful', other: true, expected: 2, missing: [] });
  });

  it('knows the repositories without the server’s own folder beside them', () => {
    expect(judge(null, 'db', 'web', 'more')).toEqual({ kind: 'state-lost' });
  });

  it('misses nothing where there never was a repository, or nothing is kept', () => {
    const nothing = { disk: null, filled: new Set<string>() };
    expect(judgeDisk(null, nothing)).toEqual({ kind: 'known' });
    expect(judgeDisk({ disk: 'a', registry: registry({ web: 10000 }) }, nothing)).toEqual({ kind: 'known' });
  });

  it('gives each name its own number again, and nobody one that another has', () => {
    const merged = mergeIdentities(
      registry({ new: 10000, db: 10005 }),
      registry({ db: 10001, web: 10002, old: 10000 }),
    );
    expect(merged).toMatchObject({ highWater: 10005, uids: { db: 10005, new: 10000, web: 10002 } });
    expect(merged.uids).not.toHaveProperty('old');
  });

  it('goes on knowing which key files are copies of others', () => {
    const witness = { ...registry({ web: 10001 }), leftovers: ['web.bak'] };
    expect(mergeIdentities(registry({}), witness).leftovers).toEqual(['web.bak']);
    expect(mergeIdentities({ ...registry({}), leftovers: ['db.old'] }, witness).leftovers).toEqual([
      'db.old',
      'web.bak',
    ]);
    expect(mergeIdentities(registry({}), registry({}))).not.toHaveProperty('leftovers');
  });
});
