import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { COLD, ON_EVERY_DEBIAN, WITHOUT_DOCKER } from './e2e-files.ts';

const FOLDER = join(import.meta.dirname, 'e2e');
const NAMES = readdirSync(FOLDER).flatMap((file) => /^(.*)\.test\.ts$/.exec(file)?.[1] ?? []);

it('every end-to-end file that is listed is there', () => {
  const listed = [...ON_EVERY_DEBIAN, ...WITHOUT_DOCKER, ...COLD];
  expect(listed.filter((name) => !NAMES.includes(name))).toEqual([]);
});

it('every file that tests something else without Docker runs without Docker in the gate', () => {
  const found = NAMES.filter((name) =>
    /onlyOn\('namespace'|TARGET === 'namespace'/.test(readFileSync(join(FOLDER, `${name}.test.ts`), 'utf8')),
  );
  expect(found.length).toBeGreaterThan(5);
  const there = [...ON_EVERY_DEBIAN, ...WITHOUT_DOCKER];
  expect(found.filter((name) => !there.includes(name))).toEqual([]);
});
