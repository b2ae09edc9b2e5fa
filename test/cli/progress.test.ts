import { expect, test } from 'vitest';
import { createProgress } from '../../src/cli/progress.ts';

/** A stream that keeps what was written, and a clock that stands until it is moved. */
const scene = (isTTY: boolean, columns = 80) => {
  let [written, time] = ['', 0];
  const stream = {
    isTTY,
    columns,
    write: (text: string) => {
      written += text;
      return true;
    },
  };
  return {
    progress: createProgress('repairing', 10, stream, () => time),
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
    written: () => written,
  };
};

test('on a terminal a bar is drawn at once, seldom enough, and taken away', () => {
  const { progress, pass, written } = scene(true);
  progress.at(5, 'web01');
  expect(written()).toBe('\r\x1b[Krepairing [############............] 5/10 web01');
  progress.at(6, 'web02');
  expect(written()).not.toContain('web02');
  pass(100);
  progress.at(7, 'web03');
  expect(written()).toContain('7/10 web03');
  progress.end();
  expect(written().endsWith('\r\x1b[K')).toBe(true);
});

test('a bar never breaks the line', () => {
  const { progress, written } = scene(true, 40);
  progress.at(1, 'x'.repeat(100));
  expect(written().length).toBe('\r\x1b[K'.length + 39);
});

test('elsewhere there are plain lines, and none for short work', () => {
  const { progress, pass, written } = scene(false);
  progress.at(1, 'web01');
  progress.end();
  expect(written()).toBe('');
  pass(10_000);
  progress.at(3, 'web03');
  progress.at(4, 'web04');
  expect(written()).toBe('repairing: 3 of 10, web03\n');
});
