import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Preparation } from '../../src/accounts/desired.ts';
import { findExtendedRights, removeExtendedRights } from '../../src/repositories/extended-rights.ts';
import { prepareRepository } from '../../src/repositories/ownership.ts';

const [UID, STRANGER] = [10_007, 40_404];
let root: string;
let folder: string;

/** What `setfacl -m u:STRANGER:rwX` and `-d` do, which is not installed everywhere (acl(5), linux/posix_acl_xattr.h). */
const SETFACL = `
import os, struct, sys
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in (
    (1, 7, 0xffffffff), (2, 7, int(sys.argv[1])), (4, 7, 0xffffffff), (16, 7, 0xffffffff), (32, 0, 0xffffffff)))
for path in sys.argv[2:]:
    os.setxattr(path, 'system.posix_acl_access', acl)
    if os.path.isdir(path):
        os.setxattr(path, 'system.posix_acl_default', acl)
`;
const letStrangerIn = (...paths: string[]) =>
  execFileSync('python3', ['-c', SETFACL, String(STRANGER), ...paths.map((path) => join(folder, path))]);

/** Whether a stranger without any group can read the file. */
const strangerReads = (path: string): boolean => {
  try {
    execFileSync('setpriv', ['--reuid', String(STRANGER), '--regid', '65534', '--clear-groups', 'cat', path], {
      stdio: 'pipe',
    });
    return true;
  } catch {
    return false;
  }
};

const prepare = (action: Preparation['action']): Promise<void> =>
  prepareRepository(root, { name: 'web01', uid: UID, action }, () => {}, new AbortController().signal);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'extended-rights-'));
  chmodSync(root, 0o755);
  folder = join(root, 'web01');
  mkdirSync(join(folder, 'data/0'), { recursive: true });
  writeFileSync(join(folder, 'data/0/1'), 'secret');
  writeFileSync(join(folder, 'config'), 'secret');
});
afterEach(() => rmSync(root, { recursive: true }));

test.each(['adopt', 'repair-mode'] as const)(
  'a user whom an ACL let in is shut out by %s, also from files that are made later',
  async (action) => {
    if (action === 'repair-mode') execFileSync('chown', ['-R', `${UID}:${UID}`, folder]);
    letStrangerIn('.', 'data', 'data/0', 'data/0/1', 'config');
    expect(strangerReads(join(folder, 'data/0/1'))).toBe(true);
    await prepare(action);
    writeFileSync(join(folder, 'data/0/2'), 'secret');
    for (const path of ['data/0/1', 'data/0/2', 'config']) expect(strangerReads(join(folder, path))).toBe(false);
    expect(await findExtendedRights([folder])).toEqual([{ count: 0, examples: [] }]);
  },
);

test('ACLs are found, each entry once, in every folder that is asked for, and no name reaches the terminal', async () => {
  mkdirSync(join(root, 'other'));
  letStrangerIn('data', 'config');
  writeFileSync(join(folder, 'data/\x1b[31mred'), '');
  letStrangerIn('data/\x1b[31mred');
  const [found, none, gone] = await findExtendedRights([folder, join(root, 'other'), join(root, 'gone')]);
  expect(found?.count).toBe(3);
  expect(found?.examples.toSorted()).toEqual(['config', 'data', 'data/\\u{1b}[31mred']);
  expect([none, gone]).toEqual([{ count: 0, examples: [] }, null]);
});

test('ACLs are not removed from what a link leads to', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'outside-'));
  try {
    writeFileSync(join(outside, 'file'), '');
    execFileSync('python3', ['-c', SETFACL, String(STRANGER), outside, join(outside, 'file')]);
    symlinkSync(outside, join(folder, 'data/link'));
    symlinkSync(join(outside, 'file'), join(folder, 'config.old'));
    symlinkSync(outside, join(root, 'linked'));
    await removeExtendedRights(folder, new AbortController().signal);
    await expect(removeExtendedRights(join(root, 'linked'), new AbortController().signal)).rejects.toThrow(
      'could not be removed',
    );
    expect(await findExtendedRights([outside])).toMatchObject([{ count: 2 }]);
  } finally {
    rmSync(outside, { recursive: true });
  }
});

test('a search that takes too long is given up, which is not the same as nothing found', async () => {
  expect(await findExtendedRights([folder, folder], 0)).toEqual([null, null]);
  expect(await findExtendedRights([folder])).toEqual([{ count: 0, examples: [] }]);
});

test('the search in a folder that is nested without end comes to an end', async () => {
  mkdirSync(join(folder, `${'d/'.repeat(150)}`), { recursive: true });
  expect(await findExtendedRights([folder])).toEqual([null]);
  chownSync(folder, UID, UID);
});
