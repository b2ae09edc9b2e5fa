import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { type Places, placesBelow } from '../../src/places.ts';
import { listSnapshots } from '../../src/snapshots/store.ts';
import { withoutExchange, withoutLandlock } from '../e2e/harness/without-landlock.ts';

// Real borg, real uids, and no server: run as root. test/e2e/read-snapshot.test.ts has the same beside a server.
const UID = 40_021;

let root: string;
let places: Places;
/** Of web01: how it was with the archive `first` alone, and then with `second`, too. */
let older: number;

const run = (line: string, before: readonly string[] = [], passphrase = 'secret') => {
  const [file = '', ...words] = [
    ...before,
    ...[process.execPath, join(import.meta.dirname, 'run-borg.ts'), root],
    ...line.split(' '),
  ];
  const env = { PATH: process.env.PATH, BORG_PASSPHRASE: passphrase };
  return execa(file, words, { env, extendEnv: false, reject: false, stdin: 'ignore', encoding: 'buffer' });
};
const borg = async (line: string, before: readonly string[] = []) => {
  const { exitCode, stdout, stderr } = await run(line, before);
  return { exitCode, stdout: Buffer.from(stdout).toString(), stderr: Buffer.from(stderr).toString() };
};
const snapshots = (name: string) => listSnapshots(join(places.state, 'snapshots', name));

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'read-snapshot-'));
  await chmod(root, 0o755);
  places = placesBelow(root);
  mkdirSync(places.repos);
  await chmod(places.repos, 0o1771);
  mkdirSync(places.run, { recursive: true });
  await installLauncher(places.run, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
  for (const [name, encryption] of [
    ['web01', 'repokey'],
    ['plain', 'none'],
  ]) {
    mkdirSync(join(places.repos, `${name}`));
    chownSync(join(places.repos, `${name}`), UID, UID);
    await chmod(join(places.repos, `${name}`), 0o2770);
    expect(await borg(`init -e ${encryption} ${name}`)).toMatchObject({ exitCode: 0 });
    // Each is kept before it is changed.
    for (const archive of ['first', 'second', 'third']) {
      writeFileSync(join(root, 'letter'), archive.repeat(10_000));
      expect(await borg(`create ${name}::${archive} ${root}/letter`)).toMatchObject({ exitCode: 0 });
    }
  }
  older = snapshots('web01').at(-2)?.number ?? 0;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test.for([
  ['as it is', () => []],
  ['where the kernel has no box', () => withoutLandlock(root, 'ENOSYS')],
  ['where two folders cannot be exchanged', () => withoutExchange(root)],
] as const)('a snapshot is read without a server, %s', async ([, before]) => {
  expect(await borg(`list --short web01@${older}`, before())).toMatchObject({
    ...{ exitCode: 0, stdout: 'first', stderr: expect.stringMatching(/^borgserver: snapshot \d+ of web01: .* ago$/) },
  });
  const { stdout } = await run(`extract --stdout web01@${older}::first ${root.slice(1)}/letter`, before());
  expect(Buffer.from(stdout).toString()).toBe('first'.repeat(10_000));
  expect(readdirSync(join(places.state, 'reading'))).toEqual([]);
  expect(await borg('list --short web01')).toMatchObject({ exitCode: 0, stdout: 'first\nsecond\nthird', stderr: '' });
});

test('one that is not encrypted is read once somebody has said yes, since a thief could have put that in its place; else with its passphrase', async () => {
  const list = `list --short plain@${snapshots('plain').at(-1)?.number}`;
  expect(await borg(list)).toMatchObject({
    ...{ exitCode: 2, stdout: '', stderr: expect.stringContaining('previously unknown unencrypted repository') },
  });
  const answer = ['env', 'BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes'];
  expect(await borg(list, answer)).toMatchObject({ exitCode: 0, stdout: 'first\nsecond' });
  expect((await run(`list web01@${older}`, [], 'wrong')).exitCode).toBe(2);
  expect(readdirSync(join(places.state, 'reading'))).toEqual([]);
});

test('one of an account with another group is not opened to the new one, and says what to do', async () => {
  const { uid, gid } = statSync(join(places.repos, 'plain'));
  chownSync(join(places.repos, 'plain'), uid, gid + 1);
  expect(await borg(`list plain@${snapshots('plain').at(-1)?.number}`)).toMatchObject({
    ...{ exitCode: 2, stderr: expect.stringMatching(/an account with another group.*copy it as root/) },
  });
  chownSync(join(places.repos, 'plain'), uid, gid);
  expect(readdirSync(join(places.state, 'reading'))).toEqual([]);
});

test('one that has lost a segment is not opened: without an index borg would show what is left as the whole', async () => {
  const [newest] = snapshots('plain').slice(-1);
  const data = join(newest?.path ?? '', 'repository/data/0');
  const about: unknown = JSON.parse(readFileSync(join(newest?.path ?? '', 'about.json'), 'utf8'));
  const count = readdirSync(data).length;
  expect(about).toMatchObject({ segments: count });
  rmSync(join(data, readdirSync(data)[0] ?? ''));
  expect(await borg(`list plain@${newest?.number}`)).toMatchObject({
    ...{ exitCode: 2, stderr: expect.stringContaining(`${count - 1} of its ${count} segments`) },
  });
  expect(readdirSync(join(places.state, 'reading'))).toEqual([]);
});
