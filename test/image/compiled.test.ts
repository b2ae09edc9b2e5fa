import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { installLauncher } from '../../src/borg/launcher.ts';

// Python compiles the launcher once, and runs nothing that was compiled from another source.

const IMAGE = join(import.meta.dirname, '../../image');
const { python } = findBorg();

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compiled-'));
  // As the project has it: no module compiled.
  cpSync(IMAGE, join(folder, 'shipped'), { recursive: true, filter: (path) => !path.endsWith('__pycache__') });
  mkdirSync(join(folder, 'run'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const install = async (): Promise<string> =>
  dirname(await installLauncher(join(folder, 'run'), python, join(folder, 'shipped/borg-serve')));
const compile = (): void => {
  expect(spawnSync(python, ['-I', '-B', join(folder, 'shipped/borg-serve'), '--compile']).status).toBe(0);
};
/** Every compiled module below a folder, by its path there. */
const compiledIn = (below: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(below, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.pyc'))
      .sort()
      .map((name) => [name, readFileSync(join(below, name)).toString('base64')]),
  );
const DEPTH = 'launcher/depth.py';
const depthOf = (below: string): string =>
  spawnSync(
    python,
    ['-I', '-B', '-c', `import sys; sys.path.append('${below}'); from launcher import depth; print(depth.DEEPEST)`],
    {
      encoding: 'utf8',
    },
  ).stdout.trim();
/** Another source of the same size and time. By default Python looks at nothing else. */
const replaceUnnoticed = (path: string): void => {
  const { atime, mtime } = statSync(path);
  const changed = readFileSync(path, 'utf8').replace(
    /DEEPEST = (\d)/,
    (_, first) => `DEEPEST = ${(Number(first) % 9) + 1}`,
  );
  writeFileSync(path, changed);
  utimesSync(path, atime, mtime);
};

test('every module is compiled, for all to read and for root to change', async () => {
  const run = await install();
  const sources = readdirSync(run, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.py'));
  const compiled = Object.keys(compiledIn(run));
  expect(compiled).toHaveLength(sources.length);
  for (const name of compiled) {
    const { mode, uid } = statSync(join(run, name));
    expect([name, (mode & 0o777).toString(8), uid]).toEqual([name, '644', 0]);
  }
});

test('a launcher that is shipped compiled is used as it is, but only by the same Python', async () => {
  compile();
  // What takes snapshots is compiled, too, and stays where it is.
  const all = Object.entries(compiledIn(join(folder, 'shipped')));
  const shipped = Object.fromEntries(all.filter(([name]) => name.startsWith('launcher/')));
  expect(all.length).toBeGreaterThan(Object.keys(shipped).length);
  // A compiled file names the place of its source. If it were compiled again, it would name another place.
  expect(compiledIn(await install())).toEqual(shipped);

  for (const name of Object.keys(shipped)) {
    const path = join(folder, 'shipped', name);
    const bytes = readFileSync(path);
    bytes.writeUInt16LE(bytes.readUInt16LE() + 1);
    writeFileSync(path, bytes);
  }
  const anew = compiledIn(await install());
  expect(Object.keys(anew)).toEqual(Object.keys(shipped));
  for (const [name, bytes] of Object.entries(anew)) {
    const header = (text = ''): string => Buffer.from(text, 'base64').subarray(0, 16).toString('hex');
    expect([name, header(bytes)]).toEqual([name, header(shipped[name])]);
  }
});

test('a file that was compiled from another source never runs, whatever the times of the files', async () => {
  compile();
  const shipped = join(folder, 'shipped');
  const before = depthOf(shipped);
  replaceUnnoticed(join(shipped, DEPTH));
  expect(depthOf(shipped)).not.toBe(before);

  const run = await install();
  expect(depthOf(run)).toBe(depthOf(shipped));
  replaceUnnoticed(join(run, DEPTH));
  expect(depthOf(run)).not.toBe(depthOf(shipped));
});

test('if a file cannot be written, it is told which and why', async () => {
  compile();
  const name = Object.keys(compiledIn(join(folder, 'shipped'))).find((each) => each.includes('/depth.')) ?? '';
  const inTheWay = join(folder, 'shipped', name);
  rmSync(inTheWay);
  mkdirSync(inTheWay);
  const cause = { code: 'unwritable', found: expect.stringMatching(/^EISDIR: .*depth\./) };
  await expect(install()).rejects.toThrow(expect.objectContaining({ cause: expect.objectContaining(cause) }));
});
