import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';
import { checkBorg as check } from '../../src/borg/launcher-check.ts';

// Real programs on a machine that may be busy.
let folder: string;
let installed: string;
let launcher: string;
beforeAll(async () => {
  installed = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
  launcher = await installLauncher(installed, findBorg().python, join(import.meta.dirname, '../../image/borg-serve'));
});
afterAll(() => rmSync(installed, { recursive: true, force: true }));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** As the server's start: where borg is, and whether it is one to be used. */
const checkBorg = async (search: string) => {
  const found = findBorg(search);
  return { ...found, ...(await check(found, launcher, folder)) };
};
const program = (text: string): void => {
  writeFileSync(join(folder, 'borg'), text);
  chmodSync(join(folder, 'borg'), 0o755);
};
const cause = (code: string) => expect.objectContaining({ cause: expect.objectContaining({ code }) });
const passOn = 'exec(open("/usr/bin/borg").read())\n';

describe('the check of borg', () => {
  test('finds it with its version and its own interpreter, whatever python3 comes first', async () => {
    writeFileSync(join(folder, 'python3'), '#!/bin/sh\nexit 9\n', { mode: 0o755 });
    const borg = await checkBorg(`${folder}:/usr/bin`);
    expect(borg.path).toBe('/usr/bin/borg');
    expect(`borg ${borg.version}`).toBe((await execa('/usr/bin/borg', ['--version'])).stdout);
    expect((await execa(borg.python, ['-I', '-c', 'import borg; print(borg.__version__)'])).stdout).toBe(borg.version);
  });

  test('follows a link to the script', async () => {
    symlinkSync('/usr/bin/borg', join(folder, 'borg'));
    expect((await checkBorg(folder)).python).toMatch(/^\/usr\/bin\/python3/);
  });

  test.each([
    '#! /usr/bin/python3\n',
    '#!/usr/bin/env python3\n',
    '#!/usr/bin/env -S python3 -I\n',
    `#!/bin/sh\n'''exec' "/usr/bin/python3" "$0" "$@"\n' '''\n`,
  ])('reads a first line as an installer wrote it: %j', async (shebang) => {
    program(shebang + passOn);
    expect((await checkBorg(`${folder}:/usr/bin`)).python).toBe('/usr/bin/python3');
  });

  test('says what is wrong where there is none, a binary, another program, a borg of another age', async () => {
    await expect(checkBorg(folder)).rejects.toThrow(cause('no-borg'));
    program('\u007fELF\u0000binary');
    await expect(checkBorg(folder)).rejects.toThrow(cause('no-borg-interpreter'));
    program('#!/bin/bash\necho borg 1.4.0\n');
    await expect(checkBorg(folder)).rejects.toThrow(cause('no-borg-interpreter'));
    writeFileSync(join(folder, 'python-of-old'), '#!/bin/sh\necho 1.1.18\n', { mode: 0o755 });
    program(`#!${join(folder, 'python-of-old')}\n`);
    await expect(checkBorg(folder)).rejects.toThrow(cause('wrong-borg'));
  });

  test('runs the self-test, and fails with it', async () => {
    program(`#!/usr/bin/python3\nimport borg.selftest\nborg.selftest.SELFTEST_COUNT += 1\n${passOn}`);
    await expect(checkBorg(folder)).rejects.toThrow(cause('borg-self-test'));
  });
});
