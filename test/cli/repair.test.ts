import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { done, runRepair } from '../../src/cli/repair.ts';
import { type Places, placesBelow } from '../../src/places.ts';

const [OWNER, OTHER] = [40_001, 40_002];
const SPENT = 'ffffffffffffffff';

let root: string;
let places: Places;
let said: string[];

const folder = (name: string, owner = OWNER): string => {
  const path = join(places.repos, name);
  mkdirSync(path);
  chownSync(path, owner, owner);
  chmodSync(path, 0o2770);
  return path;
};
const file = (path: string, text: string, owner = OWNER): void => {
  writeFileSync(path, text);
  chownSync(path, owner, owner);
  chmodSync(path, 0o660);
};
const repair = async (name: string, what: string): Promise<string> =>
  `${await runRepair(name, what, places)} ${said.join()}`;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'repair-'));
  chmodSync(root, 0o755);
  places = placesBelow(root);
  mkdirSync(places.repos);
  said = [];
  for (const stream of ['log', 'error'] as const)
    vi.spyOn(console, stream).mockImplementation((text: string) => void said.push(text));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(root, { recursive: true });
});

test('a counter at its end is set above every value that was used, and keeps its owner', async () => {
  const path = folder('web01');
  file(join(path, 'nonce'), SPENT);
  expect(await repair('web01', 'nonce')).toMatch(
    /^0 borgserver: web01: no snapshot could be taken before: no server runs here,web01: its counter is above every number/,
  );
  expect(readFileSync(join(path, 'nonce'), 'utf8')).toBe('0001000000000000');
  expect(statSync(join(path, 'nonce'))).toMatchObject({ uid: OWNER, gid: OWNER });
});

test('a counter that is not at its end is left alone: a counter never goes back', async () => {
  const path = folder('web01');
  file(join(path, 'nonce'), '0000000000123456');
  expect(await repair('web01', 'nonce')).toMatch(/^2 .*not at its end/);
  expect(readFileSync(join(path, 'nonce'), 'utf8')).toBe('0000000000123456');
});

test('no link is followed: neither the file, nor a folder on the way', async () => {
  const other = folder('other', OTHER);
  file(join(other, 'nonce'), SPENT, OTHER);
  chmodSync(other, 0o777);
  chmodSync(join(other, 'nonce'), 0o666);
  const path = folder('web01');
  symlinkSync(join(other, 'nonce'), join(path, 'nonce'));
  symlinkSync(other, join(path, 'sub'));
  expect(await repair('web01', 'nonce')).toMatch(/^2 /);
  await expect(repair('web01/sub', 'nonce')).rejects.toThrow('there is no repository web01/sub');
  expect(readFileSync(join(other, 'nonce'), 'utf8')).toBe(SPENT);
});

test('replaced keys are removed, and nothing that their folder leads to', async () => {
  const path = folder('web01');
  mkdirSync(join(path, 'former-keys'));
  chownSync(join(path, 'former-keys'), OWNER, OWNER);
  file(join(path, 'former-keys/2026-01-01T00-00-00Z-00'), 'BORG_KEY');
  expect(await repair('web01', 'former-keys')).toMatch(/,web01: the replaced keys are removed/);
  expect(() => statSync(join(path, 'former-keys'))).toThrow('ENOENT');
  symlinkSync(folder('other', OWNER), join(path, 'former-keys'));
  file(join(places.repos, 'other/kept'), 'kept');
  said = [];
  expect(await repair('web01', 'former-keys')).toMatch(/^2 /);
  expect(readFileSync(join(places.repos, 'other/kept'), 'utf8')).toBe('kept');
});

test('an unknown repair and an unknown repository are refused in words', async () => {
  expect(await repair('web01', 'everything')).toBe(
    "2 borgserver: 'everything' is not one of: nonce, former-keys, integrity, config",
  );
  said = [];
  expect(await repair('../etc', 'nonce')).toMatch(/is no repository$/);
});

test('what to do next is printed so that it can be typed', () => {
  expect(done('integrity', 'sub/a b')).toMatch(/borgserver borg check --repository-only 'sub\/a b'$/);
});
