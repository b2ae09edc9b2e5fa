import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRegistry, writeRegistry } from '../../src/host/registry.ts';
import { checkRoleGroups, readSystemAccounts } from '../../src/host/system-accounts.ts';
import { requireSettings } from '../../src/settings.ts';
import { prepareKeyTree } from '../../src/start/first-start.ts';
import { prepareRepositoriesFolder } from '../../src/start/repositories-folder.ts';
import { keyNumber } from '../accounts/any.ts';
import { causeOf } from '../reconcile/cause-of.ts';
import { type ScratchRoot, scratchRoot } from '../reconcile/scratch-root.ts';

let scratch: ScratchRoot;
beforeEach(() => {
  scratch = scratchRoot();
});
afterEach(() => scratch.remove());
const mode = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);

describe('the first start', () => {
  it.each([0o022, 0o077])(
    'gives /repos the group of the admins, and lets no tenant list it, under umask %o',
    (umask) => {
      const { places } = scratch;
      rmSync(places.state, { recursive: true });
      chownSync(places.repos, 1000, 1000);
      const before = process.umask(umask);
      try {
        prepareRepositoriesFolder(places, requireSettings({ PGID: '1234' }));
      } finally {
        process.umask(before);
      }
      expect(lstatSync(places.repos)).toMatchObject({ uid: 0, gid: 1234 });
      expect([mode(places.repos), mode(places.state)]).toEqual(['1771', '711']);
      expect(lstatSync(places.state)).toMatchObject({ uid: 0, gid: 0 });
    },
  );

  it('refuses where /repos is missing, a file or a link', () => {
    const { places } = scratch;
    rmSync(places.repos, { recursive: true });
    const refused = { code: 'missing-mount', path: places.repos };
    expect(causeOf(() => prepareRepositoriesFolder(places, requireSettings({})))).toEqual(refused);
    symlinkSync(places.sshkeys, places.repos);
    expect(causeOf(() => prepareRepositoriesFolder(places, requireSettings({})))).toEqual(refused);
  });

  it('is not led elsewhere by a link in the place of its state', () => {
    const { places } = scratch;
    rmSync(places.state, { recursive: true });
    mkdirSync(join(scratch.root, 'elsewhere'), { mode: 0o700 });
    symlinkSync(join(scratch.root, 'elsewhere'), places.state);
    expect(causeOf(() => prepareRepositoriesFolder(places, requireSettings({})))).toMatchObject({
      code: 'bad-state-folder',
    });
    expect(mode(join(scratch.root, 'elsewhere'))).toBe('700');
  });

  it('makes the role folders that are missing, if nobody was ever in them', () => {
    rmSync(scratch.places.sshkeys, { recursive: true });
    mkdirSync(scratch.places.sshkeys);
    prepareKeyTree(scratch.places);
    for (const folder of ['repos', 'repos-appendonly', 'admins'])
      expect(existsSync(join(scratch.places.sshkeys, folder))).toBe(true);
  });

  it('is refused if a role folder that had accounts is missing: then its mount is missing', async () => {
    scratch.declare('repos-appendonly/web01', `${keyNumber(1).type} ${keyNumber(1).blob}\n`);
    await scratch.pass();
    rmSync(scratch.places.sshkeys, { recursive: true });
    mkdirSync(scratch.places.sshkeys);
    const path = join(scratch.places.sshkeys, 'repos-appendonly');
    expect(causeOf(() => prepareKeyTree(scratch.places))).toEqual({ code: 'missing-mount', path });
    expect(existsSync(path)).toBe(false);
  });

  it('goes on if the folder is there and empty: then nobody has access', async () => {
    scratch.declare('repos/web01', `${keyNumber(1).type} ${keyNumber(1).blob}\n`);
    await scratch.pass();
    scratch.undeclare('repos/web01');
    expect(causeOf(() => prepareKeyTree(scratch.places))).toBeUndefined();
    await scratch.pass();
    expect(scratch.running().size).toBe(0);
    rmSync(join(scratch.places.sshkeys, 'repos'), { recursive: true });
    expect(causeOf(() => prepareKeyTree(scratch.places))).toBeUndefined();
  });
});

describe('the record of uids', () => {
  it('is read back as it was written, and only root can', () => {
    const registry = { highWater: 10007, uids: { web01: 10003, '12': 10004 }, roles: ['repo' as const] };
    writeRegistry(scratch.places.state, registry);
    expect(readRegistry(scratch.places.state)).toEqual({ registry, damaged: false });
    expect(mode(join(scratch.places.state, 'identities.json'))).toBe('600');
  });

  it.each([
    '',
    '{',
    '[]',
    '{"highWater":-1,"uids":{},"roles":[]}',
    '{"highWater":1,"uids":{"a":"1"},"roles":[]}',
    '{"highWater":1,"uids":{},"roles":["root"]}',
  ])('that is damaged is set aside, not trusted and not lost: %j', (text) => {
    const file = join(scratch.places.state, 'identities.json');
    writeFileSync(file, text);
    expect(readRegistry(scratch.places.state)).toEqual({
      registry: { highWater: 0, uids: {}, roles: [] },
      damaged: true,
    });
    expect(existsSync(`${file}.damaged`)).toBe(true);
    expect(readRegistry(scratch.places.state).damaged).toBe(false);
  });

  it('that cannot be read does not count as an empty one', () => {
    mkdirSync(join(scratch.places.state, 'identities.json'));
    expect(() => readRegistry(scratch.places.state)).toThrow();
  });
});

describe('the machine’s own accounts', () => {
  it('are names and numbers that no repository may have', () => {
    const { names, ids } = readSystemAccounts(scratch.places.etc);
    expect([...names]).toEqual(expect.arrayContaining(['root', 'backup', 'borg-repo']));
    expect([...ids]).toEqual(expect.arrayContaining([0, 34, 770, 771, 772, 773, 774]));
  });

  it('stop the start where a role group has another number, or its number another name', () => {
    const group = join(scratch.places.etc, 'group');
    for (const text of [
      '',
      'borg-repo:x:1:\n',
      'borg-repo:x:770:\nborg-appendonly:x:771:\nborg-admin:x:772:\n',
      'other:x:770:\nborg-repo:x:770:\nborg-appendonly:x:771:\nborg-admin:x:772:\nborg-repo-sub:x:773:\nborg-appendonly-sub:x:774:\n',
    ]) {
      writeFileSync(group, text);
      chmodSync(group, 0o644);
      expect(causeOf(() => checkRoleGroups(scratch.places.etc))).toMatchObject({ code: 'role-groups' });
    }
  });
});
