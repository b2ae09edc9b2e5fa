import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findRepositories } from '../../src/borg/find-repositories.ts';
import { repairRepository } from '../../src/borg/repair.ts';
import { findBroken } from '../../src/doctor/diagnose-owners.ts';
import { diagnoseRepositories } from '../../src/doctor/diagnose-repositories.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { prepareRepository } from '../../src/repositories/ownership.ts';
import { surveyRepositories } from '../../src/survey/repository-survey.ts';

const NOW = Date.now();
const HOSTILE = "x'; touch pwned; echo '\x1b[2J";

let root: string;
let places: Places;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'diagnose-'));
  places = placesBelow(root);
  mkdirSync(places.state, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const init = async (path: string): Promise<string> => {
  const env = { BORG_BASE_DIR: join(root, 'base'), BORG_SELFTEST: 'disabled' };
  await execa('borg', ['init', '--encryption', 'none', join(places.repos, path)], { env });
  return join(places.repos, path);
};

test('a name that a client or an admin chose cannot escape into the shell that a cure is pasted into', async () => {
  mkdirSync(join(places.repos, 'web01'));
  const nested = await init(`web01/${HOSTILE}`);
  mkdirSync(join(nested, 'lock.exclusive'));
  writeFileSync(join(nested, 'lock.exclusive/elsewhere@1.7-0'), '');
  const surveyed = surveyRepositories(places.repos);
  const locks = diagnoseRepositories(places, null, surveyed, NOW + 2 * 86_400_000);
  const all = locks.flatMap(({ cure }) => cure?.match(/borgserver borg .*/)?.[0] ?? []);
  const cures = all.filter((cure) => cure.includes('pwned'));
  expect(cures).toHaveLength(1);
  for (const cure of cures) {
    expect(cure).not.toContain('\x1b');
    const words = await execa('sh', ['-c', cure.replace(/^borgserver borg/, 'echo')], { cwd: root });
    expect(words.stdout).toContain('touch pwned');
  }
  await expect(execa('ls', [join(root, 'pwned')])).rejects.toThrow();
});

test('another host’s lock is left alone until it is a day old; backups from the future are told', async () => {
  const path = await init('web01');
  mkdirSync(join(path, 'lock.exclusive'));
  writeFileSync(join(path, 'lock.exclusive/laptop@1.7-0'), '');
  const tell = (now: number) =>
    diagnoseRepositories(places, null, surveyRepositories(places.repos), now)
      .filter(({ level }) => level !== 'ok')
      .map(({ message }) => message);
  expect(tell(NOW)).toEqual([]);
  expect(tell(NOW + 49 * 3_600_000)).toEqual([
    expect.stringMatching(/^web01 is locked for (48|49) h by laptop@1, which is not this server$/),
  ]);
  expect(tell(NOW - 3_600_000)).toEqual(['backups from the future: web01']);
  expect(readFileSync(join(path, 'config'), 'utf8')).toContain('[repository]');
});

test('a counter of the encryption that was raised to its end is told, with a cure after which backups come again', async () => {
  const path = join(places.repos, "o'clock");
  const env = { BORG_BASE_DIR: join(root, 'base'), BORG_SELFTEST: 'disabled', BORG_PASSPHRASE: 'x' };
  await execa('borg', ['init', '--make-parent-dirs', '--encryption', 'repokey-blake2', path], { env });
  const create = (archive: string) =>
    execa('borg', ['create', `${path}::${archive}`, '-'], { env, input: archive, reject: false });
  const found = () =>
    diagnoseRepositories(places, null, surveyRepositories(places.repos), NOW).filter(({ level }) => level !== 'ok');
  expect((await create('first')).exitCode).toBe(0);
  expect(found()).toEqual([]);
  writeFileSync(join(path, 'nonce'), 'fffffffffffffff0');
  expect((await create('second')).stderr).toContain('AssertionError');
  const [{ level, cure } = { level: '', cure: '' }] = found();
  expect(level).toBe('error');
  const words = await execa('sh', ['-c', (cure ?? '').replace(/;.*/, '').replace('borgserver', "printf '%s\\n'")]);
  const [command, name = '', what] = words.stdout.split('\n');
  expect([command, what]).toEqual(['repair', 'nonce']);
  expect(await repairRepository(places.repos, name, { uid: 0, gid: 0 }, 'nonce')).toBe(null);
  expect(found()).toEqual([]);
  expect((await create('second')).exitCode).toBe(0);
});

test('what root wrote into a repository that an admin made is told, and handed over', async () => {
  const path = await init('laptop');
  chownSync(path, 1000, 1000);
  const look = () =>
    findBroken(places, { accounts: [], puid: 1000, pgid: 1001 }, surveyRepositories(places.repos), () => {});
  const { lines, broken } = await look();
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'error',
      message: expect.stringMatching(/^laptop: \d+ entries are not its own/),
      cure: 'borgserver doctor --fix',
    }),
  ]);
  for (const { name, owner } of broken)
    await prepareRepository(places.repos, { name, ...owner, action: 'adopt' }, () => {}, new AbortController().signal);
  expect(await look()).toEqual({ broken: [], lines: [] });
});

test('what a file system or a NAS keeps in /repos is nobody’s repository, and no advice is given on it', async () => {
  for (const name of ['lost+found', '@eaDir', '#recycle', 'System Volume Information', '.snapshot', '.Trash-0'])
    mkdirSync(join(places.repos, name, 'sub'), { recursive: true });
  await init('lost+found/#1234');
  for (const path of ['web01/.snapshot', 'web01/@eaDir']) {
    mkdirSync(join(places.repos, path), { recursive: true });
    await init(`${path}/copy`);
  }
  writeFileSync(join(places.repos, 'web01/letter'), '');
  writeFileSync(join(places.repos, 'aquota.user'), '');
  const surveyed = surveyRepositories(places.repos);
  expect(surveyed.map(({ path }) => path)).toEqual(['web01']);
  expect(findRepositories(places.repos).paths).toEqual([]);
});

test('nobody is told to hand over what root keeps beside the repositories', async () => {
  mkdirSync(join(places.repos, 'restored/letters'), { recursive: true });
  const { lines } = await findBroken(
    places,
    { accounts: [], puid: 1000, pgid: 1000 },
    surveyRepositories(places.repos),
    () => {},
  );
  expect(lines).toEqual([expect.objectContaining({ level: 'warning', message: expect.stringContaining('restored') })]);
  expect(lines[0]?.cure).not.toContain('chown');
});
