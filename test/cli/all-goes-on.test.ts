import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { type Places, placesBelow } from '../../src/places.ts';

// Real borg, real uids: run as root, as the server is.
const UIDS = { a: 40_001, b: 40_002, c: 40_003 };

let root: string;
let places: Places;

const borg = (line: string, extra: Record<string, string> = {}) =>
  execa(process.execPath, [join(import.meta.dirname, 'run-borg.ts'), root, ...line.split(' ')], {
    env: { PATH: process.env.PATH, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', ...extra },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
  });

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'all-goes-on-'));
  chmodSync(root, 0o755);
  places = placesBelow(root);
  mkdirSync(places.run, { recursive: true });
  mkdirSync(places.repos);
  await installLauncher(places.run, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
  for (const [name, uid] of Object.entries(UIDS)) {
    const path = join(places.repos, name);
    mkdirSync(path, { recursive: true });
    chownSync(path, uid, uid);
    expect(await borg(`init -e none ${name}`)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await borg(`create ${name}::of-${name} /etc/hostname`)).toMatchObject({ exitCode: 0 });
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const asTenant = (uid: number, ...words: string[]) =>
  execa('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...words]);

test('a pipe in one repository does not stop the others: it is named, with its repository', async () => {
  const pipe = join(places.repos, 'b/hints.99');
  await asTenant(UIDS.b, 'mkfifo', pipe);
  const { stdout, stderr, exitCode } = await borg('list --short all');
  expect(stdout.split('\n')).toEqual(['=== a', 'of-a', '=== b', '=== c', 'of-c']);
  expect(stderr).toContain('left out: a pipe is in it');
  expect(stderr).toContain(pipe);
  expect(exitCode).toBe(2);
  rmSync(pipe);
});

test('a borg that waits without end is ended, said to be stuck, and the next one begins', async () => {
  // The pipe is in the folder that borg has for this account. Nobody looks there before borg opens it.
  const security = join(places.state, `borg/${UIDS.b}/.config/borg/security`);
  const location = (await asTenant(UIDS.b, 'find', security, '-name', 'location')).stdout;
  await asTenant(UIDS.b, 'rm', location);
  await asTenant(UIDS.b, 'mkfifo', location);
  const { stdout, stderr, exitCode } = await borg('list --short all', { STUCK_AFTER: '1min' });
  expect(stdout.split('\n')).toEqual(['=== a', 'of-a', '=== b', '=== c', 'of-c']);
  expect(stderr).toContain('borgserver: b: borg stood still for too long (STUCK_AFTER), and was ended');
  expect(exitCode).not.toBe(0);
  // It was given time to release its lock.
  await asTenant(UIDS.b, 'rm', location);
  expect((await borg('list --short b')).stdout).toBe('of-b');
});
