import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

// What `npm run lint` and `npm run types` find in the Python of this server: each test puts faults into a copy.
// Without a fault they find nothing: that shows whenever they run.

const ROOT = join(import.meta.dirname, '../..');

let copy: string;

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'python-checks-'));
  const { include } = JSON.parse(readFileSync(join(ROOT, 'pyrightconfig.json'), 'utf8')) as { include: string[] };
  for (const each of ['pyrightconfig.json', 'image', ...include.filter((one) => !one.startsWith('image/'))]) {
    cpSync(join(ROOT, each), join(copy, each), { recursive: true });
  }
});
afterEach(() => rmSync(copy, { recursive: true }));

const put = (file: string, from: string, to: string): void => {
  const parts = readFileSync(join(copy, file), 'utf8').split(from);
  expect(parts, `${file}: ${from}`).toHaveLength(2);
  writeFileSync(join(copy, file), parts.join(to));
};

const run = (command: string, ...words: string[]): { code: number | null; said: string } => {
  const { status, stdout, stderr } = spawnSync(command, words, { cwd: copy, encoding: 'utf8' });
  return { code: status, said: stdout + stderr };
};
const lint = () => run(process.execPath, join(ROOT, 'test/python/lint.ts'), copy);
const types = () => run(process.execPath, join(ROOT, 'node_modules/pyright/index.js'), '--project', copy);

test('an import that nobody uses, an undefined name and a syntax that Python 3.11 does not know are found', () => {
  put(
    'image/launcher/guards/nonce.py',
    'from borg.helpers import Error',
    'import socket\n\nfrom borg.helpers import Error',
  );
  put('image/launcher/crowd.py', 'os.nice(step)', 'os.nice(stepp)');
  put('image/launcher/depth.py', 'DEEPEST = 4', 'DEEPEST = 4\ntype Depth = int');
  const { code, said } = lint();
  expect(code).toBe(1);
  expect(said).toMatch(/guards\/nonce\.py:3:8 F401/);
  expect(said).toMatch(/crowd\.py:\d+:\d+ F821/);
  expect(said).toMatch(/depth\.py:\d+:\d+ syntax|depth\.py:\d+:\d+ invalid-syntax/);
});

test('a call that does not fit, and a guard that does not fit the class that it extends, are found', () => {
  // A wrong number of arguments between modules.
  put('image/launcher/session.py', 'crowd.give_way(older)', 'crowd.give_way(older, 1)');
  // Another type.
  put('image/launcher/process_limits.py', 'return int(setting)', 'return setting');
  // A method of a guard with other parameters than borg's.
  put('image/launcher/guards/nonce.py', 'self, next_unreserved, start_nonce', 'self, next_unreserved');
  // A guard that calls what borg does not have.
  put('image/launcher/comfort/keep_folder.py', 'super().destroy()', 'super().destroy_all()');
  // A program without the ending .py.
  put('image/session-ends', 'text_of(said)', 'text_of(said, 1)');
  const { code, said } = types();
  expect(code).toBe(1);
  for (const each of [
    /session\.py:\d+:\d+ - error: Expected 1 positional argument/,
    /process_limits\.py:\d+:\d+ - error: Type "str" is not assignable to return type "int"/,
    /nonce\.py:\d+:\d+ - error: Method "commit_nonce_reservation" overrides/,
    /keep_folder\.py:\d+:\d+ - error: Cannot access attribute "destroy_all"/,
    /session-ends:\d+:\d+ - error: Expected 1 positional argument/,
  ]) {
    expect(said).toMatch(each);
  }
});

test('every Python of the project is looked at', () => {
  const { include } = JSON.parse(readFileSync(join(ROOT, 'pyrightconfig.json'), 'utf8')) as { include: string[] };
  const files = globSync('{image,test,src}/**/*', { cwd: ROOT, exclude: ['**/__pycache__'] })
    .filter((file) => statSync(join(ROOT, file)).isFile())
    .filter((file) => /\.pyi?$/.test(file) || readFileSync(join(ROOT, file), 'latin1').startsWith('"""'));
  expect(files).toContain('image/borg-serve');
  const seen = (file: string) => include.some((each) => file === each || file.startsWith(`${each}/`));
  expect(files.filter((file) => !seen(file))).toEqual([]);
});
