import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { COLD, ON_BOTH_IMAGES, WITHOUT_DOCKER } from './e2e-files.ts';

const FOLDER = join(import.meta.dirname, 'e2e');
const NAMES = readdirSync(FOLDER).flatMap((file) => /^(.*)\.test\.ts$/.exec(file)?.[1] ?? []);

it('every end-to-end file that is listed is there', () => {
  const listed = [...ON_BOTH_IMAGES, ...WITHOUT_DOCKER, ...COLD];
  expect(listed.filter((name) => !NAMES.includes(name))).toEqual([]);
});

it('every file that tests something else without Docker runs without Docker in the gate', () => {
  const found = NAMES.filter((name) =>
    /onlyOn\('namespace'|TARGET === 'namespace'/.test(readFileSync(join(FOLDER, `${name}.test.ts`), 'utf8')),
  );
  expect(found.length).toBeGreaterThan(5);
  expect(found.filter((name) => !WITHOUT_DOCKER.includes(name))).toEqual([]);
});
