import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

// A lock folder with a million entries cost root 638 MB. Here it are fewer, and what a process takes at most is compared.

const MANY = 150_000;
const SPARE_KILOBYTES = 25_000;
let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'bounded-memory-'));
  for (const [name, count] of [
    ['few', 3],
    ['many', MANY],
  ] as const) {
    const path = join(root, 'repos', name);
    mkdirSync(join(path, 'data'), { recursive: true });
    mkdirSync(join(path, 'lock.exclusive'));
    writeFileSync(join(path, 'README'), '');
    writeFileSync(join(path, 'config'), `[repository]\nversion = 1\nsegments_per_dir = 1000\nid = ${'0'.repeat(64)}\n`);
    for (let each = 0; each < count; each += 1)
      writeFileSync(join(path, 'lock.exclusive', `somebody@${each}.${each}-0`), '');
  }
}, 120_000);
afterAll(() => rmSync(root, { recursive: true }));

/** The most memory that a process of its own takes for it, in kilobytes. */
const peak = (work: string): number => {
  const code = `import * as fs from 'node:fs'; ${work}; console.log(process.resourceUsage().maxRSS)`;
  const words = ['--input-type=module', '--eval', code];
  return Number(execFileSync(process.execPath, words, { cwd: join(import.meta.dirname, '../..'), encoding: 'utf8' }));
};

test.each([
  [
    'status',
    (name: string) => `(await import('./src/borg/repository-state.ts')).readRepositoryState('${root}/repos/${name}')`,
  ],
  [
    '`all`',
    (name: string) => `(await import('./src/borg/find-repositories.ts')).findRepositories('${root}/repos/${name}')`,
  ],
  [
    'the look for what borg would wait for',
    (name: string) => `(await import('./src/borg/odd-entry.ts')).findOddEntry('${root}/repos/${name}', true)`,
  ],
])('%s takes no more memory for a lock folder with entries without end', (_, work) => {
  expect(peak(work('many'))).toBeLessThan(peak(work('few')) + SPARE_KILOBYTES);
});

test('what reads it whole would take more than that', () => {
  const whole = `const all = fs.readdirSync('${root}/repos/many/lock.exclusive', { withFileTypes: true }); globalThis.all = all`;
  expect(peak(whole)).toBeGreaterThan(peak('') + SPARE_KILOBYTES);
});
