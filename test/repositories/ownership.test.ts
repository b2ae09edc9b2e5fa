import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Preparation } from '../../src/accounts/desired.ts';
import type { AccountName } from '../../src/accounts/name.ts';
import { prepareRepository } from '../../src/repositories/ownership.ts';

const [UID, PUID] = [10_007, 1000];
let root: string;

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);
const ownerOf = (path: string): string => `${lstatSync(path).uid}:${lstatSync(path).gid}`;
const prepare = (action: Preparation['action']): Promise<void> =>
  prepareRepository(
    join(root, 'repos'),
    { name: 'web01' as AccountName, uid: UID, action, reason: '' },
    () => {},
    new AbortController().signal,
  );

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ownership-'));
  mkdirSync(join(root, 'repos/web01/data'), { recursive: true });
  writeFileSync(join(root, 'repos/web01/data/0'), '');
  for (const path of ['repos/web01', 'repos/web01/data', 'repos/web01/data/0']) chownSync(join(root, path), PUID, PUID);
  mkdirSync(join(root, 'secret'));
  writeFileSync(join(root, 'secret/key'), '');
  chmodSync(join(root, 'secret'), 0o755);
  chmodSync(join(root, 'secret/key'), 0o644);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(root, { recursive: true });
});

test('a folder that belongs to somebody else becomes its account’s, with all that is in it', async () => {
  symlinkSync(join(root, 'secret'), join(root, 'repos/web01/link'));
  await prepare('adopt');
  const of = (path: string) => [ownerOf(join(root, path)), modeOf(join(root, path))];
  const own = `${UID}:${UID}`;
  expect(of('repos/web01')).toEqual([own, '2770']);
  expect(of('repos/web01/data')).toEqual([own, '2770']);
  expect(of('repos/web01/data/0')).toEqual([own, '660']);
  expect(of('secret')).toEqual(['0:0', '755']);
  expect(of('secret/key')).toEqual(['0:0', '644']);
});

test('a new one is made', async () => {
  rmSync(join(root, 'repos/web01'), { recursive: true });
  await prepare('create');
  expect([ownerOf(join(root, 'repos/web01')), modeOf(join(root, 'repos/web01'))]).toEqual([`${UID}:${UID}`, '2770']);
});

test('its owner exchanges it for a link while it is handed over: nothing is done to where that leads', async () => {
  mkdirSync(join(root, 'bin'));
  // What the owner could do at any moment, done at the worst: between two of the steps.
  writeFileSync(
    join(root, 'bin/chown'),
    `#!/bin/sh\n/usr/bin/chown "$@"\nmv '${root}/repos/web01' '${root}/repos/aside'\nln -s '${root}/secret' '${root}/repos/web01'\n`,
    { mode: 0o755 },
  );
  vi.stubEnv('PATH', `${join(root, 'bin')}:${process.env.PATH}`);
  await prepare('adopt').catch(() => {});
  expect(existsSync(join(root, 'repos/aside'))).toBe(true);
  expect([modeOf(join(root, 'secret')), modeOf(join(root, 'secret/key'))]).toEqual(['755', '644']);
});
