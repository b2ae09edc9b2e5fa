import { existsSync, realpathSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { loadedFiles } from '../../src/borg/loaded-files.ts';

test('an upgrade of borg or its interpreter changes what is looked at', async () => {
  const { python } = findBorg();
  const files = await loadedFiles(python);
  expect(files).toContain(realpathSync(python));
  const borg = files.filter((path) => /\/borg(\/|$)/.test(path) && existsSync(path));
  for (const name of ['borg', '__init__.py', 'remote.py', 'repository.py', 'algorithms', 'crypto', 'platform'])
    expect(
      borg.some((path) => path.endsWith(`/${name}`)),
      name,
    ).toBe(true);
});

test('if the interpreter has no borg, or is no interpreter, only its own file is looked at', async () => {
  expect(await loadedFiles('/bin/true')).toEqual([realpathSync('/bin/true')]);
});
