import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { failure, failureFields, failureInLines, failureInOneLine } from '../src/failure.ts';

const PORT = failure('sshd cannot listen', {
  code: 'port-taken',
  port: 22,
  found: 'taken\u001b[2J by another',
  problems: ['one', 'two'],
  remedy: 'set SSH_PORT',
});

test('a failure is one line for the log, several for a person, and fields for a start that failed; nothing in it moves a terminal', () => {
  const found = failureInOneLine(PORT).match(/found: (?<found>[^,]*),/)?.groups?.found ?? '';
  expect(found).toMatch(/^taken.*by another$/);
  expect(found).not.toContain('\u001b');
  expect(failureInOneLine(PORT)).toBe(
    `sshd cannot listen (port: 22, found: ${found}, problems: one; two, remedy: set SSH_PORT)`,
  );
  expect(failureInLines(PORT).split('\n')).toEqual([
    ...['sshd cannot listen', '  port: 22', `  found: ${found}`, '  one', '  two', '  remedy: set SSH_PORT'],
  ]);
  expect(Object.keys(failureFields(PORT))[0]).toBe('why');
  expect(failureFields(PORT)).toEqual({
    ...{ why: 'sshd cannot listen', port: '22', found, problems: 'one; two', remedy: 'set SSH_PORT' },
  });
});

test('the cause of a failure, and what several failures have in common, is told with it', () => {
  const outer = new Error('no server', { cause: new Error('no socket', { cause: 'gone' }) });
  expect(failureInOneLine(outer)).toBe('no server: no socket: gone');
  expect(failureInLines(outer)).toBe('no server\n  because: no socket\n  because: gone');
  expect(failureFields(outer)).toEqual({ why: 'no server: no socket: gone' });
  const all = new AggregateError(
    [1, 2, 3, 4, 5].map((each) => new Error(`part ${each}`)),
    'all failed',
  );
  expect(failureInOneLine(all)).toBe('all failed: part 1, part 2, part 3 and 2 more');
  expect(failureInLines(all).split('\n')).toEqual(['all failed', ...[1, 2, 3, 4, 5].map((each) => `  part ${each}`)]);
});

test('a failure is told, and so is a second one during its clean-up', () => {
  const both = new SuppressedError(new Error('close'), new Error('start'), 'suppressed');
  expect(failureInOneLine(both)).toBe('suppressed: start, close');
  expect(failureInLines(both).split('\n')).toEqual(['suppressed', '  start', '  close']);
});

test('anything can be thrown', () => {
  for (const thrown of [undefined, null, 7, 'a\nb', { code: 'x' }]) {
    expect(failureInOneLine(thrown)).not.toContain('\n');
    expect(failureInLines(thrown)).not.toBe('');
    expect(failureFields(thrown)).toHaveProperty('why');
  }
  expect(failureInOneLine(new Error('bare', { cause: null }))).toBe('bare');
});

test('if a program failed, the log has its short message; a person, and the line about a failed start, have all that it wrote', () => {
  const error = Object.assign(new Error('Command failed: borg all its output'), {
    shortMessage: 'Command failed: borg',
  });
  expect(failureInOneLine(error)).toBe('Command failed: borg');
  expect(failureFields(error).why).toBe('Command failed: borg all its output');
  expect(failureInLines(error)).toBe('Command failed: borg all its output');
});

test('every code in the set is the code of some failure', () => {
  const source = new URL('../src/', import.meta.url);
  const texts = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== 'failure.ts')
    .map((file) => readFileSync(new URL(file, source), 'utf8'));
  const codes = [...readFileSync(new URL('failure.ts', source), 'utf8').matchAll(/^ {2}\| '(?<code>[a-z-]+)'/gm)];
  expect(codes.length).toBeGreaterThan(40);
  expect(
    codes.map(({ groups }) => groups?.code).filter((code) => !texts.some((text) => text.includes(`'${code}'`))),
  ).toEqual([]);
});
