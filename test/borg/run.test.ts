import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runBorg } from '../../src/borg/run.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'run-'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  execFileSync('chmod', ['-R', '777', folder]);
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (script: string, stuckAfter?: number) =>
  runBorg({ command: ['/bin/sh', '-c', script], words: [], uid: 65_534, gid: 65_534, env: {}, stuckAfter });

test('a program that waits without end is ended, and said to have been stuck', async () => {
  expect(await run(`read line <${folder}/pipe`, 500)).toEqual({ exitCode: 143, interrupted: false, stuck: true });
});

test('one that is only slow goes on, however long it takes', async () => {
  const slow = 'for each in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do /bin/sleep 0.25; done; exit 7';
  expect(await run(slow, 2000)).toEqual({ exitCode: 7, interrupted: false, stuck: false });
  expect(await run('/bin/sleep 0.5; exit 3')).toEqual({ exitCode: 3, interrupted: false, stuck: false });
});
