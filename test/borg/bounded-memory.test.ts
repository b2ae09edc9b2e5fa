import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openToAccount } from '../../src/repositories/modes.ts';
import { surveyRepositories } from '../../src/survey/repository-survey.ts';

// A lock folder with a million entries cost root 638 MB. Here there are fewer, and the test compares the most memory that a process takes.

const MANY = 200_000;
const SPARE_KILOBYTES = 25_000;
const FILL = `
import os, sys
for each in range(int(sys.argv[2])):
    os.mknod('%s/somebody@%d.%d-0' % (sys.argv[1], each, each))`;
let root: string;
let repos: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'bounded-memory-'));
  // In memory: there as many entries are made, handed over and removed in a tenth of the time.
  repos = mkdtempSync('/dev/shm/bounded-memory-');
  for (const [name, count] of [
    ['few', 3],
    ['many', MANY],
  ] as const) {
    const path = join(repos, name);
    mkdirSync(join(path, 'data'), { recursive: true });
    mkdirSync(join(path, 'lock.exclusive'));
    writeFileSync(join(path, 'README'), '');
    writeFileSync(join(path, 'config'), `[repository]\nversion = 1\nsegments_per_dir = 1000\nid = ${'0'.repeat(64)}\n`);
    execFileSync('python3', ['-I', '-c', FILL, join(path, 'lock.exclusive'), String(count)]);
  }
});
afterAll(() => {
  for (const folder of [root, repos]) rmSync(folder, { recursive: true });
});

const MAX_RSS = `
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)`;

/** The most memory in kilobytes that a process of its own takes for the work, or a process that it starts. */
const peak = (work: string): number => {
  const code = `import * as fs from 'node:fs'; ${work}`;
  const words = ['-I', '-c', MAX_RSS, process.execPath, '--input-type=module', '--eval', code];
  return Number(execFileSync('python3', words, { cwd: join(import.meta.dirname, '../..'), encoding: 'utf8' }));
};

test.each([
  [
    'status',
    (name: string) => `(await import('./src/borg/repository-state.ts')).readRepositoryState('${repos}/${name}')`,
  ],
  ['`all`', (name: string) => `(await import('./src/borg/find-repositories.ts')).findRepositories('${repos}/${name}')`],
  [
    'the search for what borg would wait for',
    (name: string) => `(await import('./src/borg/odd-entry.ts')).findOddEntry('${repos}/${name}', true)`,
  ],
  [
    'the same search, with the entries in the repository itself',
    (name: string) => `(await import('./src/borg/odd-entry.ts')).findOddEntry('${repos}/${name}/lock.exclusive')`,
  ],
  [
    'the search for foreign owners',
    (name: string) =>
      `await (await import('./src/repositories/foreign-entries.ts')).findForeignOwners('${repos}/${name}', 1, 1)`,
  ],
  [
    'the search for ACLs',
    (name: string) =>
      `await (await import('./src/repositories/extended-rights.ts')).findExtendedRights(['${repos}/${name}'])`,
  ],
  [
    'the adoption of a folder',
    (name: string) => `await (await import('./src/repositories/ownership.ts')).prepareRepository('${repos}',
        { name: '${name}', uid: 10007, action: 'adopt', reason: '' }, () => {}, new AbortController().signal)`,
  ],
])('%s takes no more memory if a lock folder has entries without end', (_, work) => {
  expect(peak(work('many'))).toBeLessThan(peak(work('few')) + SPARE_KILOBYTES);
});

test('what is kept of each repository does not grow with what its owner writes into its small files', () => {
  const text = (size: number) => 'x'.repeat(size);
  for (const [name, size] of [
    ['modest', 10],
    ['immodest', 900_000],
  ] as const)
    for (let each = 0; each < 60; each += 1) {
      const path = join(root, name, 'fleet', String(each));
      mkdirSync(join(path, 'data'), { recursive: true });
      const config = `[repository]\nversion = 1\nsegments_per_dir = 1000\nid = ${'0'.repeat(64)}\n`;
      writeFileSync(join(path, 'config'), `${config}key = ${text(Math.min(size, 60_000))}\n`);
      writeFileSync(join(path, 'README'), '');
      writeFileSync(join(path, 'lock.roster'), JSON.stringify({ shared: [[text(size), 1, 0]], exclusive: [] }));
    }
  const work = (name: string) => `const { surveyRepositories } = await import('./src/survey/repository-survey.ts');
    const found = surveyRepositories('${root}/${name}');
    if (found.filter(({ state }) => state?.kind === 'repository' && state.locks.length === 1).length !== 60)
      throw new Error('not all were read')`;
  expect(peak(work('immodest'))).toBeLessThan(peak(work('modest')) + SPARE_KILOBYTES);
});

test('no repository is looked for below one that lies in the folder of another', () => {
  const config = `[repository]\nversion = 1\nsegments_per_dir = 1000\nid = ${'0'.repeat(64)}\n`;
  for (const path of ['team/one', 'team/one/below/two']) {
    mkdirSync(join(root, 'nested', path, 'data'), { recursive: true });
    for (const file of ['config', 'README']) writeFileSync(join(root, 'nested', path, file), config);
  }
  const found = surveyRepositories(join(root, 'nested'));
  expect(found.map(({ path }) => path)).toEqual(['team', 'team/one']);
  expect(found[1]?.state).toMatchObject({ kind: 'repository', nested: [] });
});

test('a folder that is handed over does not keep the others waiting, however much is in it', async () => {
  let turns = 0;
  let over = false;
  const count = (): void => {
    turns += 1;
    if (!over) setImmediate(count);
  };
  setImmediate(count);
  await openToAccount(join(repos, 'many'), new AbortController().signal);
  over = true;
  expect(turns).toBeGreaterThan(MANY / 1000);
});

test('code that reads the whole folder would take more than that', () => {
  const whole = `const all = fs.readdirSync('${repos}/many/lock.exclusive', { withFileTypes: true }); globalThis.all = all`;
  expect(peak(whole)).toBeGreaterThan(peak('') + SPARE_KILOBYTES);
});
