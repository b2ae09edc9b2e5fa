import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const PROJECT = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'failures-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the installed vitest writes about a file of tests. */
const vitestOn = (source: string): string => {
  writeFileSync(join(folder, 'it.test.ts'), `import { beforeAll, expect, it } from 'vitest';\n${source}`);
  const { stdout, stderr } = spawnSync(join(PROJECT, 'node_modules/.bin/vitest'), ['run', '--root', folder], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, NO_COLOR: '1', CI: '1' },
  });
  return stdout + stderr;
};

/** What `.ci/failures` tells of steps: pairs of a name and what the step wrote. */
const toldOf = (...steps: readonly (readonly [string, string])[]): string[] => {
  const words = steps.flatMap(([name, output], index) => {
    const file = join(folder, `output-${index}`);
    writeFileSync(file, output);
    return [name, file];
  });
  const { status, stdout, stderr } = spawnSync(join(PROJECT, '.ci/failures'), words, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
};

describe('what .ci/run tells at its end about failures', () => {
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'));
  const fromVitest = vitestOn(`
    it('is well', () => {});
    it('is equal', () => expect({ a: 1 }).toEqual({ a: 2 }));
    it('throws', () => { throw new Error('one\\ntwo', { cause: new Error('inner') }); });
  `);

  it('is what each failed test says, then the name of the step and the test', () => {
    expect(toldOf(['units', fromVitest])).toEqual([
      'it.test.ts > is equal',
      '   AssertionError: expected { a: 1 } to deeply equal { a: 2 }',
      '     {',
      '   -   "a": 2,',
      '   +   "a": 1,',
      '     }',
      'it.test.ts > throws',
      '   Error: one',
      '   two',
      '== failed:',
      'units: it.test.ts > is equal',
      'units: it.test.ts > throws',
    ]);
  });

  it('is the name of the file, if something before its tests fails', () => {
    const output = vitestOn(`beforeAll(() => { throw new Error('no server'); }); it('is well', () => {});`);
    expect(toldOf(['units', output])).toEqual([
      'it.test.ts [ it.test.ts ]',
      '   Error: no server',
      '== failed:',
      'units: it.test.ts [ it.test.ts ]',
    ]);
  });

  it('is the last lines of a step that names no test', () => {
    const lines = Array.from({ length: 30 }, (_, index) => `line ${index}\n`);
    const told = toldOf(['image', lines.join('')], ['units', fromVitest]);
    expect(told.slice(0, 12)).toEqual(lines.slice(-12).map((line) => `   ${line.trimEnd()}`));
    expect(told.slice(-3)).toEqual([
      'image: no test is named, the last lines are above',
      'units: it.test.ts > is equal',
      'units: it.test.ts > throws',
    ]);
  });

  it('is short, however much has failed', () => {
    const output = vitestOn(`
      it.each(Array.from({ length: 60 }, (_, index) => index))('fails %s', (index) => { throw new Error(\`\${index}\\n\`.repeat(50)); });
    `);
    const told = toldOf(['units', output]);
    expect(told.length).toBeLessThan(70);
    expect(told.slice(-2)).toEqual(['units: it.test.ts > fails 24', 'and 35 more']);
  });
});
