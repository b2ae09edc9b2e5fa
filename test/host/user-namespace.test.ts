import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  checkUserNamespace,
  hasEveryId,
  mayChangeOwners,
  namespaceProblems,
  readUserNamespace,
  type UserNamespace,
} from '../../src/host/user-namespace.ts';
import { requireSettings } from '../../src/settings.ts';

const all = { first: 0, count: 4_294_967_295 };
const namespace = (spans: UserNamespace['uids'], more: Partial<UserNamespace> = {}): UserNamespace => ({
  ...{ uids: spans, gids: spans, mayHaveGroups: true },
  ...more,
});
const problems = (given: UserNamespace, env: Record<string, string> = {}) =>
  namespaceProblems(given, requireSettings(env));

describe('the ids of a user namespace', () => {
  it('are enough for the defaults where there are all of them, or 65536', () => {
    expect(problems(namespace([all]))).toEqual([]);
    expect(problems(namespace([{ first: 0, count: 65_536 }]))).toEqual([]);
    // What newuidmap and Podman write: root is the user, and the rest begins behind it.
    expect(
      problems(
        namespace([
          { first: 1, count: 65_535 },
          { first: 0, count: 1 },
        ]),
      ),
    ).toEqual([]);
    expect([hasEveryId(namespace([all])), hasEveryId(namespace([{ first: 0, count: 65_536 }]))]).toEqual([true, false]);
  });

  it('that are too few are named with the setting and the cure', () => {
    const few = namespace([{ first: 0, count: 10_000 }]);
    expect(problems(few)).toEqual([
      'UID_RANGE: 10000-59999 is not among the user ids of this user namespace (0-9999); choose a part of them, or give the container more (/etc/subuid and /etc/subgid on the host; 65536 are usual)',
    ]);
    expect(problems(few, { UID_RANGE: '2000-9999' })).toEqual([]);
    expect(problems(few, { IDENTITIES: 'shared' })).toEqual([]);
    expect(problems(few, { PUID: '60000', PGID: '61000', IDENTITIES: 'shared' })).toHaveLength(2);
  });

  it('that have a gap in the range are too few', () => {
    const gap = namespace([
      { first: 0, count: 30_000 },
      { first: 30_001, count: 35_535 },
    ]);
    expect(problems(gap)[0]).toMatch(/^UID_RANGE: .*\(0-29999, 30001-65535\)/);
    expect(problems(namespace([all], { gids: [{ first: 0, count: 20_000 }] }))[0]).toMatch(/^UID_RANGE: .* group ids/);
  });

  it('must have the groups of the roles, and let a login have groups', () => {
    const one = namespace([{ first: 0, count: 1 }], { mayHaveGroups: false });
    expect(problems(one, { IDENTITIES: 'shared' }).map((text) => text.split(':')[0])).toEqual([
      ...['PUID', 'PGID', 'group borg-repo'],
      'this user namespace forbids setgroups, and nobody can be logged in',
    ]);
    expect(() => checkUserNamespace(requireSettings({}), one)).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: 'unmapped-ids' }) }),
    );
  });

  it('are read as the kernel writes them', () => {
    expect(() => checkUserNamespace(requireSettings({}))).not.toThrow();
    const folder = mkdtempSync(join(tmpdir(), 'maps-'));
    try {
      const seen = (file: string) =>
        execFileSync('unshare', ['--user', '--map-root-user', 'cat', `/proc/self/${file}`]);
      for (const file of ['uid_map', 'gid_map', 'setgroups']) writeFileSync(join(folder, file), seen(file));
      expect(readUserNamespace(folder)).toEqual(namespace([{ first: 0, count: 1 }], { mayHaveGroups: false }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

it('whether owners may be changed is the first capability', () => {
  expect(mayChangeOwners()).toBe(true);
  expect(mayChangeOwners('CapEff:\t00000000a80425fa\n')).toBe(false);
  expect(mayChangeOwners('CapEff:\t00000000a80425fb\n')).toBe(true);
});
