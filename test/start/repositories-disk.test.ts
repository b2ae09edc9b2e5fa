import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { diagnoseDisk } from '../../src/doctor/diagnose-disk.ts';
import { readRegistry } from '../../src/host/registry.ts';
import { readDiskMark, readWitness, witnessFile } from '../../src/host/witness.ts';
import { adoptDisk, checkRepositoriesDisk, claimDisk, openWitnessKeeper } from '../../src/start/repositories-disk.ts';
import { keyNumber } from '../accounts/any.ts';
import { causeOf } from '../reconcile/cause-of.ts';
import { type ScratchRoot, scratchRoot } from '../reconcile/scratch-root.ts';

let scratch: ScratchRoot;
let told: string[];
const log = {
  warn: (_: unknown, text: string) => told.push(text),
  error: (_: unknown, text: string) => told.push(text),
};
const key = (number: number) => `${keyNumber(number).type} ${keyNumber(number).blob}\n`;
const fill = (name: string) => writeFileSync(join(scratch.places.repos, name, 'README'), 'x');
const uidOf = (name: string) => statSync(join(scratch.places.repos, name)).uid;
const disk = () => `${scratch.places.repos}-of-before`;
/** A start, as far as the disk is concerned. */
const start = async () => {
  checkRepositoriesDisk(scratch.places);
  mkdirSync(scratch.places.state, { recursive: true });
  claimDisk(scratch.places, log as never);
  const report = await scratch.pass();
  openWitnessKeeper(scratch.places, log as never).keep();
  return report;
};

beforeEach(async () => {
  scratch = scratchRoot();
  told = [];
  for (const [index, name] of ['zeta', 'alpha'].entries()) {
    scratch.declare(`repos/${name}`, key(index));
    await start();
    fill(name);
  }
  await start();
  expect([uidOf('zeta'), uidOf('alpha')]).toEqual([10000, 10001]);
});
afterEach(() => {
  rmSync(disk(), { recursive: true, force: true });
  scratch.remove();
});
const unplug = () => {
  renameSync(scratch.places.repos, disk());
  mkdirSync(scratch.places.repos);
};

it('doctor tells that the same disk has lost all of its repositories; what a NAS keeps there does not count', () => {
  expect(diagnoseDisk(scratch.places)).toEqual([]);
  mkdirSync(join(scratch.places.repos, '@eaDir/web'), { recursive: true });
  mkdirSync(disk());
  renameSync(join(scratch.places.repos, 'zeta'), join(disk(), 'zeta'));
  expect(diagnoseDisk(scratch.places)).toEqual([]);
  renameSync(join(scratch.places.repos, 'alpha'), join(disk(), 'alpha'));
  expect(diagnoseDisk(scratch.places)).toEqual([
    expect.objectContaining({
      level: 'error',
      message: expect.stringContaining('2 of 2 repositories that were here are missing: alpha, zeta'),
      cure: expect.stringContaining('before the next update'),
    }),
  ]);
  for (const name of ['alpha', 'zeta']) renameSync(join(disk(), name), join(scratch.places.repos, name));
  expect(diagnoseDisk(scratch.places)).toEqual([]);
});

describe('a start without the disk of the repositories', () => {
  it('is refused, names what is missing, and makes nothing there', async () => {
    unplug();
    await expect(start()).rejects.toMatchObject({
      cause: { code: 'missing-disk', found: '2 of 2 repositories that were here are missing: alpha, zeta' },
    });
    expect(existsSync(scratch.places.state)).toBe(false);
    rmSync(scratch.places.repos, { recursive: true });
    renameSync(disk(), scratch.places.repos);
    await start();
    expect(told).toEqual([]);
  });

  it('is possible once the new disk is confirmed; every name keeps its number, and from then on the former disk is the wrong one', async () => {
    unplug();
    mkdirSync(scratch.places.state);
    adoptDisk(scratch.places);
    await start();
    expect([uidOf('zeta'), uidOf('alpha')]).toEqual([10000, 10001]);
    scratch.declare('repos/new', key(2));
    await start();
    expect(uidOf('new')).toBe(10002);
    fill('new');
    await start();
    rmSync(scratch.places.repos, { recursive: true });
    renameSync(disk(), scratch.places.repos);
    await expect(start()).rejects.toMatchObject({
      cause: { found: 'another disk than before: 1 of 1 repository that was here is missing: new' },
    });
  });

  it('is refused where the record is damaged and the folder was never used', async () => {
    writeFileSync(witnessFile(scratch.places), '{"disk":');
    await start();
    expect(readWitness(scratch.places)).toMatchObject({ disk: readDiskMark(scratch.places) });
    writeFileSync(witnessFile(scratch.places), '');
    unplug();
    expect(causeOf(() => checkRepositoriesDisk(scratch.places))).toMatchObject({ code: 'missing-disk' });
  });

  it('is judged, too, where the record is a folder, as Docker makes one for a file that is missing', async () => {
    rmSync(witnessFile(scratch.places));
    mkdirSync(witnessFile(scratch.places));
    await start();
    expect(told).toEqual([expect.stringContaining('is damaged'), expect.stringContaining('cannot be kept')]);
    unplug();
    expect(causeOf(() => checkRepositoriesDisk(scratch.places))).toMatchObject({ code: 'missing-disk' });
  });

  it('goes on where only the server’s own folder is gone, with the numbers that were given', async () => {
    const before = readRegistry(scratch.places.state).registry;
    rmSync(scratch.places.state, { recursive: true });
    await start();
    expect(readRegistry(scratch.places.state).registry).toEqual(before);
    expect(told).toEqual([expect.stringContaining('put back from the second one')]);
  });

  it.each(['killed before its first update', 'where the record beside the key tree cannot be written'])(
    'without the server’s own folder does not keep out the next one: %s',
    async (what) => {
      const before = readDiskMark(scratch.places);
      rmSync(scratch.places.state, { recursive: true });
      const writes = what.startsWith('killed');
      if (!writes) mkdirSync(join(scratch.places.sshkeys, 'host/.known-repositories.json.new'));
      mkdirSync(scratch.places.state);
      claimDisk(scratch.places, log as never);
      checkRepositoriesDisk(scratch.places);
      // A copy of the disk can be told apart from it, if the mark can be written.
      expect(readDiskMark(scratch.places) === before).toBe(!writes);
    },
  );

  it('of the same disk tells each repository that is gone, also without its record', async () => {
    for (const path of [join(scratch.places.repos, 'zeta'), join(scratch.places.state, 'identities.json')])
      rmSync(path, { recursive: true });
    const { findings } = await start();
    expect(findings.map(({ code, file }) => `${code} ${file}`)).toEqual(['repository-lost /repos/zeta']);
    expect(uidOf('zeta')).toBe(10000);
  });
});

describe('the second record', () => {
  it('follows the first one, is root’s alone, and is not written again for nothing', async () => {
    const file = witnessFile(scratch.places);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readWitness(scratch.places)).toMatchObject({ registry: readRegistry(scratch.places.state).registry });
    const { ino } = statSync(file);
    await start();
    expect(statSync(file).ino).toBe(ino);
  });

  it('is told once if it cannot be kept, and nothing else fails', () => {
    rmSync(join(scratch.places.sshkeys, 'host'), { recursive: true });
    const { keep } = openWitnessKeeper(scratch.places, log as never);
    keep();
    keep();
    expect(told).toEqual([expect.stringContaining('cannot be kept')]);
  });
});

describe('a disk that goes while the server runs', () => {
  it('fails the update, which gives no number to another name; the next update goes on when the disk is back', async () => {
    const update = scratch.server();
    await update();
    unplug();
    mkdirSync(scratch.places.state);
    scratch.undeclare('repos/zeta');
    await expect(update()).rejects.toThrow(/disk of the repositories is gone/);
    // An account without its key file is still removed, and nothing was made in the empty folder.
    expect([...scratch.running().keys()]).toEqual(['alpha']);
    expect(existsSync(join(scratch.places.repos, 'alpha'))).toBe(false);
    expect(readFileSync(witnessFile(scratch.places), 'utf8')).toContain('"zeta":10000');
    rmSync(scratch.places.repos, { recursive: true });
    renameSync(disk(), scratch.places.repos);
    expect((await update()).accounts).toMatchObject([{ name: 'alpha', uid: 10001 }]);
  });
});
