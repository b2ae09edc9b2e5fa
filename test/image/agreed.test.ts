import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { KEPT_MODE } from '../../src/accounts/kept-file.ts';
import { REPOSITORY_MODE } from '../../src/accounts/repository-folder.ts';
import { DEEPEST } from '../../src/borg/depth.ts';
import { diskFloor } from '../../src/borg/disk-floor.ts';
import { FORMER_KEY, MOST_FORMER_KEYS } from '../../src/borg/former-keys.ts';
import { findBorg } from '../../src/borg/interpreter.ts';
import { ABOVE_ALL, SPENT } from '../../src/borg/repair.ts';
import { FAILURES } from '../../src/sessions/outcome.ts';

// The server and the launcher have to agree upon some values. Each has its own copy, so that no session reads a file of the server's.

const SCRIPT = `
import json, sys
sys.path.insert(0, sys.argv[1])
from launcher import depth, outcome
from launcher.comfort import lock_folder
from launcher.guards import disk_floor, keys
from snapshots import carry, keep, lock
print(json.dumps({
    'depth': depth.DEEPEST, 'mode': lock_folder.MODE, 'part': disk_floor.PART, 'most': disk_floor.MOST_NEED,
    'keys': keys.MOST_FORMER_KEYS, 'key': keys.FORMER_KEY.pattern, 'words': sorted(set(outcome.SYSTEM.values())),
    'kept': keep.KEPT_MODE, 'lock': lock.MODE, 'own': [keep.FOLDER_MODE, keep.FILE_MODE],
    'carried': [carry.MOST_FORMER_KEYS, carry.FORMER_KEY.pattern, '%016x' % carry.SPENT, '%016x' % carry.AHEAD],
}))`;

const IMAGE = join(import.meta.dirname, '../../image');
const launcher: Readonly<Record<'depth' | 'mode' | 'part' | 'most' | 'keys' | 'kept' | 'lock', number>> & {
  readonly key: string;
  readonly own: readonly number[];
  readonly carried: readonly (number | string)[];
  readonly words: readonly string[];
} = JSON.parse(execFileSync(findBorg().python, ['-I', '-B', '-c', SCRIPT, IMAGE], { encoding: 'utf8' }));

test('a repository lies as deep as the server looks', () => {
  expect(launcher.depth).toBe(DEEPEST);
});

test('the folder of a lock has the mode of a repository', () => {
  expect(launcher.mode).toBe(REPOSITORY_MODE);
  expect(launcher.lock).toBe(REPOSITORY_MODE);
});

test('the server knows the files that a repository shares with its snapshots by the mode that they get', () => {
  expect(launcher.kept).toBe(KEPT_MODE);
});

test('the server tells the same floor of a disk as sessions keep to', () => {
  const total = 1_000_000_000_000;
  expect(diskFloor('auto', { total }, 0)).toBe(total / launcher.part);
  expect(diskFloor('auto', { total: 3 * launcher.most }, Infinity)).toBe(launcher.most);
});

test('the launcher keeps the same former keys as the server lists, and as many', () => {
  expect(FORMER_KEY.source).toBe(`^${launcher.key}$`);
  expect(launcher.keys).toBe(MOST_FORMER_KEYS);
});

test('an undo carries the same former keys, and knows the same end of the counter as a repair', () => {
  expect(launcher.carried).toEqual([MOST_FORMER_KEYS, launcher.key, SPENT, ABOVE_ALL]);
});

test('an undo gives a repository the mode that all have', () => {
  expect(launcher.own).toEqual([REPOSITORY_MODE, 0o660]);
});

test('the server has a sentence for every word with which a session tells its failure', () => {
  const said = readdirSync(IMAGE, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.startsWith('launcher/') && name.endsWith('.py'))
    .flatMap((name) => [
      ...readFileSync(join(IMAGE, name), 'utf8').matchAll(
        name === 'launcher/outcome.py' ? /return '([a-z-]+)'/g : /because\('([a-z-]+)'/g,
      ),
    ])
    .map(([, word = '']) => word);
  expect(launcher.words).toContain('no-space');
  expect(said).toEqual(expect.arrayContaining(['path', 'floor']));
  expect([...launcher.words, ...said].filter((word) => !Object.hasOwn(FAILURES, word))).toEqual([]);
});
