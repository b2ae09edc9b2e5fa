import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assignIdentities } from '../../src/accounts/identity.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { anyFolders, anyRegistry, NAMES, RANGE, shuffled, TAKEN, WIDE_RANGE } from './any.ts';

const given = fc.record({
  names: fc.uniqueArray(fc.constantFrom(...NAMES)),
  folders: anyFolders,
  registry: anyRegistry,
  range: fc.constantFrom(RANGE, WIDE_RANGE),
});
const name = (text: string): AccountName => text as AccountName;
const folder = (text: string, uid: number) => ({ name: text, kind: 'folder' as const, uid, gid: uid, mode: 0o2770 });
const NOTHING = { highWater: 0, uids: {} };

describe('identities', () => {
  it('are in the range, never shared, and never one of the machine’s own', () => {
    fc.assert(
      fc.property(given, ({ names, folders, registry, range }) => {
        const { uids, without } = assignIdentities(names, folders, registry, range, TAKEN);
        expect(new Set(uids.values()).size).toBe(uids.size);
        for (const uid of uids.values()) {
          expect(uid).toBeGreaterThanOrEqual(range.first);
          expect(uid).toBeLessThanOrEqual(range.last);
          expect(TAKEN.has(uid)).toBe(false);
        }
        expect([...uids.keys(), ...without].sort()).toEqual([...names].sort());
      }),
    );
  });

  it('never give away the owner of another name’s folder', () => {
    fc.assert(
      fc.property(given, ({ names, folders, registry, range }) => {
        const { uids } = assignIdentities(names, folders, registry, range, TAKEN);
        for (const [each, uid] of uids) {
          const owners = folders
            .filter((found) => found.kind === 'folder' && found.uid === uid)
            .map((found) => found.name);
          if (owners.length > 0) expect(owners).toContain(each);
        }
      }),
    );
  });

  it('do not depend on the order of names and folders', () => {
    fc.assert(
      fc.property(given, fc.nat(), ({ names, folders, registry, range }, seed) => {
        const once = assignIdentities(names, folders, registry, range, TAKEN);
        const again = assignIdentities(shuffled(names, seed), shuffled(folders, seed), registry, range, TAKEN);
        expect(JSON.stringify([again.registry, [...again.uids], again.without])).toBe(
          JSON.stringify([once.registry, [...once.uids], once.without]),
        );
      }),
    );
  });

  it('stay when they are asked for again, with what was remembered', () => {
    fc.assert(
      fc.property(given, ({ names, folders, registry, range }) => {
        const once = assignIdentities(names, folders, registry, range, TAKEN);
        const again = assignIdentities(names, folders, once.registry, range, TAKEN);
        expect([...again.uids]).toEqual([...once.uids]);
        expect(again.registry).toEqual(once.registry);
      }),
    );
  });

  it('are not used twice while there are unused ones', () => {
    const first = assignIdentities([name('a'), name('b')], [], NOTHING, RANGE, TAKEN);
    const second = assignIdentities([name('c')], [], first.registry, RANGE, TAKEN);
    expect([...first.uids.values(), ...second.uids.values()]).toEqual([10000, 10001, 10002]);
  });

  it('fill gaps once the range is exhausted, and run out', () => {
    const many = ['b', 'c', 'd', 'e', 'f', 'g', 'h'].map(name);
    const { uids, without } = assignIdentities(many, [], { highWater: 10005, uids: {} }, RANGE, TAKEN);
    expect([...uids.values()]).toEqual([10000, 10001, 10002, 10004, 10005]);
    expect(without).toEqual(['g', 'h']);
  });

  it('stay with the account that had the number before, if two folders have the same owner', () => {
    const copies = [folder('web01', 10002), folder('copy-of-web01', 10002)];
    const names = [name('web01'), name('copy-of-web01')];
    const { uids } = assignIdentities(names, copies, { highWater: 10002, uids: { web01: 10002 } }, RANGE, TAKEN);
    expect(Object.fromEntries(uids)).toEqual({ web01: 10002, 'copy-of-web01': 10004 });
  });

  it('are remembered while the key file is there, even if the folder is gone', () => {
    const { uids } = assignIdentities(
      [name('a'), name('b')],
      [],
      { highWater: 10004, uids: { b: 10001 } },
      RANGE,
      TAKEN,
    );
    expect(Object.fromEntries(uids)).toEqual({ a: 10005, b: 10001 });
  });

  it('can be given in a range of 60,000 with 50,000 folders', () => {
    const folders = Array.from({ length: 50_000 }, (_, index) => folder(`r${index}`, 10_000 + index));
    expect(() => assignIdentities([name('x')], folders, NOTHING, WIDE_RANGE, TAKEN)).not.toThrow();
  });
});
