import { expect, test } from 'vitest';
import { createRunOnAllText } from '../../src/cli/run-on-all-text.ts';

/** What is told of a run over these repositories, each with borg's exit code. */
const told = (isTTY: boolean, env: Record<string, string>, ends: readonly (readonly [string, number])[]): string[] => {
  let text = '';
  const stream = {
    isTTY,
    write: (part: string) => {
      text += part;
      return true;
    },
  };
  const tell = createRunOnAllText(stream, env, ends.length);
  for (const [index, [path, exitCode]] of ends.entries()) {
    tell.begin(index, path);
    tell.ended(path, exitCode);
  }
  tell.done();
  return text.split('\n').slice(0, -1);
};
/** web00, web01, … */
const named = (...exitCodes: readonly number[]) => exitCodes.map((code, index) => [`web0${index}`, code] as const);
const NO_COLOUR = { NO_COLOR: '1' };

test('a program reads bare headings and nothing else', () => {
  expect(told(false, {}, named(0, 2))).toEqual(['=== web00', '=== web01']);
});

test('a person sees how far it is, and at the end what has failed', () => {
  expect(told(true, NO_COLOUR, named(0, 1, 2, 105))).toEqual([
    '=== [........................] 1 of 4 web00',
    '=== [######..................] 2 of 4 web01',
    '=== [############............] 3 of 4 web02',
    '=== [##################......] 4 of 4 web03',
    '=== [########################] 4 of 4 done; failed: web02; with warnings: web01, web03',
  ]);
  expect(told(true, NO_COLOUR, named(0, 0)).at(-1)).toMatch(/2 of 2 done; all right$/);
});

test('on a terminal the bar changes its colour with the first warning and the first error, if colours are wanted', () => {
  const codes = told(true, {}, named(0, 1, 2)).map((line) => /\[(\d+)m\[/.exec(line)?.[1]);
  expect(codes).toEqual(['32', '32', '33', '31']);
  expect(told(true, NO_COLOUR, named(2, 0)).join('')).not.toContain('\x1b');
  expect(told(false, {}, named(2, 0)).join('')).not.toContain('\x1b');
});

test('names that may be hostile are shown, not obeyed', () => {
  const hostile = [['a\x1b[2Jb', 2] as const, ['c', 0] as const];
  expect(told(true, NO_COLOUR, hostile).join('')).not.toContain('\x1b');
});
