import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { showWhereWaitsFail, until } from './e2e/harness/machine.ts';

test('a wait that was in vain says for what, what was seen last, and what else there is to see', async () => {
  const hide = showWhereWaitsFail(() => 'the log: nothing happens');
  let looks = 0;
  const wait = until(
    'both to come',
    (saw) => {
      looks += 1;
      return saw(['one', looks]).length > 2;
    },
    100,
  );
  const failed = await wait.then(
    () => '',
    (error: Error) => error.message,
  );
  hide();
  expect(failed).toBe(
    `waited 100 ms in vain for both to come, in ${looks} looks\nseen last: [ 'one', ${looks} ]\nthe log: nothing happens`,
  );
  expect(looks).toBeGreaterThan(1);
  await expect(until('another', () => false, 10)).rejects.toThrow(/^waited 10 ms in vain for another, in \d+ looks$/);
});

/** What fails on a busy machine although nothing is wrong, and what stands for it. */
const CLOCKS: readonly (readonly [what: RegExp, instead: string])[] = [
  [/\bvi\.waitFor\(/, 'it waits for a second only: expect.poll, or until (e2e/harness/machine.ts)'],
  [
    /expect\(performance\.now\(\) - |expect\(Date\.now\(\) - /,
    'what a cost may be is a multiple of another: costOf (cost.ts)',
  ],
  [/\bAbortSignal\.timeout\(\d{3,}/, 'PATIENCE_MS (e2e/harness/patience.ts)'],
  [
    /\btestTimeout|\bhookTimeout|^}, \d+_000\);$|^ +timeout: \d+_000,$/m,
    'all tests wait equally long (vitest.config.ts)',
  ],
];

test('no test asserts a time by the clock, nor has a patience of its own', () => {
  const files = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.startsWith('bench/') && file !== 'waits.test.ts',
  );
  expect(files.length).toBeGreaterThan(100);
  const found = files.flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8');
    return CLOCKS.flatMap(([what, instead]) =>
      what.test(text) ? [`${file}: ${what.exec(text)?.[0]}; ${instead}`] : [],
    );
  });
  expect(found).toEqual([]);
});
