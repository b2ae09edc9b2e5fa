import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lastBackup } from '../../src/borg/repository-state.ts';
import { createForeignLook } from '../../src/reconcile/foreign-look.ts';
import type { PassReport } from '../../src/reconcile/pass.ts';
import { scanRepositories } from '../../src/repositories/scan.ts';
import { surveyWithRecord } from '../../src/survey/archive-record.ts';
import { type ScratchRoot, scratchRoot } from './scratch-root.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVjvPVUhHY0a+B5DVxRALhRKYDGHnBBNeNXH1lUJCsr web01';

let machine: ScratchRoot;
let pass: () => Promise<PassReport>;
beforeEach(async () => {
  machine = scratchRoot();
  machine.declare('repos/web01', KEY);
  pass = machine.server();
  await pass();
});
afterEach(() => machine.remove());

const inside = (path = ''): string => join(machine.places.repos, 'web01', path);
const uidOf = (path = ''): number => lstatSync(inside(path)).uid;
const borg = (as: number, ...words: readonly string[]) =>
  execa('borg', ['--umask', as === 0 ? '0077' : '0007', ...words], {
    ...(as !== 0 && { uid: as, gid: as }),
    cwd: '/',
    env: { BORG_BASE_DIR: join(machine.root, `base-${as}`), BORG_SELFTEST: 'disabled', ...QUIET },
  });
const QUIET = {
  USER: 'web01',
  BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
};
const create = (as: number, archive: string) => borg(as, 'create', `${inside()}::${archive}`, '/etc/hostname');
const init = async (): Promise<void> => {
  mkdirSync(join(machine.root, `base-${uidOf()}`));
  chownSync(join(machine.root, `base-${uidOf()}`), uidOf(), uidOf());
  await borg(uidOf(), 'init', '--encryption', 'none', inside());
};
/** What an update did, and what it told. */
const update = async () => {
  const { changes, findings } = await pass();
  return { done: changes.map(({ kind }) => kind), told: findings };
};
const everyUid = (): Promise<string[]> =>
  execa('find', [inside(), '-printf', '%U\n']).then(({ stdout }) => [...new Set(stdout.split('\n'))]);

test('what a borg of root’s has written is handed over by the next full pass, and never counts as a backup', async () => {
  await init();
  await create(uidOf(), 'own');
  const status = () => {
    const [web01] = surveyWithRecord(machine.places);
    if (web01?.state?.kind !== 'repository') throw new Error('no repository');
    return lastBackup(web01.state);
  };
  expect(await update()).toEqual({ done: [], told: [] });
  const own = status();
  expect(own).not.toBe(null);

  await create(0, 'roots');
  await expect(create(uidOf(), 'after')).rejects.toThrow('Permission');
  expect(status()).toBe(own);
  expect(await update()).toEqual({ done: ['repository-repaired'], told: [] });
  expect(await everyUid()).toEqual([String(uidOf())]);
  expect(status()).toBe(own);
  expect(await update()).toEqual({ done: [], told: [] });
  // And once more, as a nightly job of root's would.
  await create(0, 'roots-too');
  expect((await update()).done).toEqual(['repository-repaired']);
  expect(status()).toBe(own);

  await create(uidOf(), 'after');
  expect(status()).toBeGreaterThan(own ?? Infinity);
});

test('a repository in which only root has written has no backup', async () => {
  await init();
  await create(0, 'roots');
  const state = () => surveyWithRecord(machine.places)[0]?.state;
  const last = () => {
    const found = state();
    return found?.kind === 'repository' ? lastBackup(found) : undefined;
  };
  expect(last()).toBe(null);
  await update();
  expect(last()).toBe(null);
});

test('what root copies in is handed over, except a file that has a second name elsewhere', async () => {
  await init();
  await create(uidOf(), 'own');
  await update();
  const outside = join(machine.root, 'outside');
  writeFileSync(outside, 'somebody else’s', { mode: 0o600 });
  // A client that was taken over could make such a link where the kernel lets it.
  linkSync(outside, inside('data/0/999'));
  linkSync(outside, inside('index.999'));
  const { done, told } = await update();
  expect(done).toEqual([]);
  expect(told).toEqual([expect.objectContaining({ code: 'foreign-owners', file: '/repos/web01' })]);
  const config = readFileSync(inside('config'));
  rmSync(inside('config'));
  writeFileSync(inside('config'), config);
  expect((await update()).done).toEqual(['repository-repaired']);
  expect(uidOf('config')).toBe(uidOf());
  expect(lstatSync(outside)).toMatchObject({ uid: 0, gid: 0 });
  expect(lstatSync(outside).mode & 0o777).toBe(0o600);
});

test.each(['data', 'data/0'])(
  'a link in the place of %s that leads to files of root’s does not count as files of root’s',
  async (place) => {
    await init();
    await create(uidOf(), 'own');
    await update();
    const roots = join(machine.root, 'roots');
    mkdirSync(join(roots, '0'), { recursive: true });
    for (const path of ['900', '0/900']) writeFileSync(join(roots, path), 'root’s');
    rmSync(inside(place), { recursive: true });
    symlinkSync(roots, inside(place));
    writeFileSync(inside('index.900'), '');
    chownSync(inside('index.900'), uidOf(), uidOf());
    expect(await update()).toEqual({ done: [], told: [] });
    expect(lstatSync(join(roots, '0/900'))).toMatchObject({ uid: 0, gid: 0 });
  },
);

test('while a borg of root’s holds the lock, that is told, and nothing changes in the repository', async () => {
  await init();
  await update();
  chownSync(inside('config'), 0, 0);
  mkdirSync(inside('lock.exclusive'));
  chmodSync(inside('lock.exclusive'), 0o700);
  const { done, told } = await update();
  expect(done).toEqual([]);
  expect(told[0]?.message).toContain('a borg that is not its account');
  expect(uidOf('config')).toBe(0);
  rmSync(inside('lock.exclusive'), { recursive: true });
  expect(await update()).toEqual({ done: ['repository-repaired'], told: [] });
});

test('each of several repositories of an account is looked at, too', async () => {
  machine.declare('repos/web01', `# borgserver: sub-repositories=yes\n${KEY}`);
  await update();
  mkdirSync(inside('system/data/0'), { recursive: true });
  for (const path of ['system/config', 'system/data/0/1']) writeFileSync(inside(path), '');
  expect((await update()).done).toEqual(['repository-repaired']);
  expect(await everyUid()).toEqual([String(uidOf())]);
  expect((await update()).done).toEqual([]);

  // And a repository that lies in folders, with nothing else that would be handed over.
  mkdirSync(inside('hosts/a/home/data/0'), { recursive: true });
  for (const path of ['hosts', 'hosts/a', 'hosts/a/home', 'hosts/a/home/data', 'hosts/a/home/data/0'])
    chownSync(inside(path), uidOf(), uidOf());
  writeFileSync(inside('hosts/a/home/config'), '');
  expect((await update()).done).toEqual(['repository-repaired']);
  expect(await everyUid()).toEqual([String(uidOf())]);
});

test('each pass looks at some of very many repositories that do not change, until it has looked at all', () => {
  const { repos } = machine.places;
  for (let number = 0; number < 230; number += 1) {
    mkdirSync(join(repos, `r${number}/data/0`), { recursive: true });
    writeFileSync(join(repos, `r${number}/config`), '');
    for (const path of ['', '/data', '/data/0', '/config']) chownSync(join(repos, `r${number}${path}`), 20_000, 20_000);
  }
  const look = createForeignLook(repos);
  const foreign = () => look.see(scanRepositories(repos), true).filter((folder) => folder.foreign).length;
  expect(foreign()).toBe(0);
  // Nothing of this changes the folder itself.
  for (let number = 0; number < 230; number += 1) chownSync(join(repos, `r${number}/config`), 0, 0);
  expect(foreign()).toBe(100);
  expect(foreign()).toBe(200);
  expect(foreign()).toBe(230);
  // A file that borg makes changes it.
  for (let number = 0; number < 230; number += 1) chownSync(join(repos, `r${number}/config`), 20_000, 20_000);
  expect(foreign()).toBe(0);
  writeFileSync(join(repos, 'r7/index.3'), '');
  expect(foreign()).toBe(1);
  expect(readdirSync(repos)).toHaveLength(232);
});
