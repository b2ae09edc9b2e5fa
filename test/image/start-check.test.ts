import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { withoutLandlock } from '../e2e/harness/without-landlock.ts';

// What the server asks the launcher once, before anybody may log in.

const IMAGE = join(import.meta.dirname, '../../image');

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'start-check-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

const check = (launcher: string, before: readonly string[] = []) => {
  const probe = mkdtempSync(join(folder, 'state-'));
  const { path, python } = findBorg();
  const words = [...before, python, '-I', '-B', launcher, '--check', path, probe];
  const { stdout, stderr } = spawnSync(words[0] ?? '', words.slice(1), { encoding: 'utf8', cwd: '/' });
  expect(stderr).toBe('');
  expect(readdirSync(probe)).toEqual([]);
  const [version = '', found = ''] = stdout.split('\n');
  expect(version).toMatch(/^1\.\d+\.\d/);
  return JSON.parse(found);
};

test('a box holds on this machine, and the installed borg is known', () => {
  expect(check(join(IMAGE, 'borg-serve'))).toEqual({ box: null, unknown: [] });
});

test.each(['ENOSYS', 'EPERM'] as const)(
  'if the profile of a container refuses a box, the check says so (%s)',
  (refusal) => {
    const found = check(join(IMAGE, 'borg-serve'), withoutLandlock(folder, refusal));
    expect(found.box).toBe(`the kernel or the profile of the container refuses Landlock (${refusal})`);
  },
);

test('a box that does not hold is not believed, whatever the kernel says of itself', () => {
  cpSync(IMAGE, join(folder, 'image'), { recursive: true });
  const box = join(folder, 'image/launcher/box.py');
  const whole = readFileSync(box, 'utf8');
  writeFileSync(box, whole.replace('call(RESTRICT_SELF', '(lambda *_: None)(RESTRICT_SELF'));
  expect(check(join(folder, 'image/borg-serve')).box).toContain('from inside a box one can read what is outside');
});

test('a call or a parameter of borg that is not known is named', () => {
  cpSync(IMAGE, join(folder, 'image'), { recursive: true });
  const rpc = join(folder, 'image/launcher/rpc.py');
  const whole = readFileSync(rpc, 'utf8');
  writeFileSync(rpc, whole.replace("'save_key', 'scan'", "'save_key'").replace('repair save_space', 'save_space'));
  const { unknown } = check(join(folder, 'image/borg-serve'));
  expect(unknown).toEqual(['the call scan', 'Repository.check(repair save_space max_duration)']);
});
