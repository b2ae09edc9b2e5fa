import { expect, test } from 'vitest';
import { parseHostLine } from '../../src/sessions/host-line.ts';

const BEGAN = {
  ...{ event: 'began', pid: 500, start: 120, client: 62, clientStart: 119, connection: [60, 100] },
  uid: 10_001,
};
const ENDED = { event: 'ended', pid: 500, start: 120, code: 0, signal: null, cpu: 0.0123, memory: 31_457_280 };
const parse = (line: object) => parseHostLine(JSON.stringify(line));

test('a line of the session host says one thing', () => {
  expect(parse({ event: 'ready', pid: 77 })).toEqual({ event: 'ready', pid: 77 });
  expect(parse(BEGAN)).toEqual({
    event: 'began',
    session: {
      ...{ process: { pid: 500, start: 120 }, client: { pid: 62, start: 119 }, connection: { pid: 60, start: 100 } },
      uid: 10_001,
    },
  });
  const ended = {
    event: 'ended',
    ...{ process: { pid: 500, start: 120 }, usage: { cpuSeconds: 0.0123, peakMemory: 31_457_280 } },
  };
  expect(parse(ENDED)).toEqual(ended);
  expect(parse({ ...ENDED, code: null, signal: 9 })).toEqual(ended);
  expect(parse({ ...ENDED, code: null, signal: 'SIGKILL' })).toEqual(ended);
  expect(parse({ event: 'asks', connection: [60, 100] })).toEqual({
    ...{ event: 'asks', connection: { pid: 60, start: 100 } },
  });
  expect(parse({ event: 'pong' })).toEqual({ event: 'pong' });
  expect(parse({ event: 'trouble', what: 'no memory' })).toEqual({ event: 'trouble', what: 'no memory' });
});

test('further fields are left out: a later host may say more', () => {
  expect(parse({ ...ENDED, wrote: true })).toEqual(parse(ENDED));
});

test.each([
  '',
  'ready',
  'null',
  '[]',
  '{"event":"ready"',
  JSON.stringify({ event: 'constructor' }),
  JSON.stringify({ event: 'ready', pid: 0 }),
  JSON.stringify({ event: 'asks', connection: [60] }),
  JSON.stringify({ event: 'asks', connection: [60, 100, 1] }),
  JSON.stringify({ event: 'trouble' }),
])('any other text is no line of a host: %j', (line) => {
  expect(parseHostLine(line)).toBeNull();
});

const wrong = (line: object, values: readonly unknown[]): readonly (readonly [string, object])[] =>
  Object.keys(line)
    .filter((key) => key !== 'code' && key !== 'signal')
    .flatMap((key) => values.map((value) => [`${key}: ${JSON.stringify(value)}`, { ...line, [key]: value }] as const));

const WRONG: readonly (readonly [string, object])[] = [
  ...wrong(BEGAN, [undefined, null, -1, 0, '', {}, 1e300]),
  ...wrong(ENDED, [undefined, null, -1, 'x', {}]),
  ['uid: root', { ...BEGAN, uid: 0 }],
  ['pid: not whole', { ...BEGAN, pid: 500.5 }],
  ['connection: text', { ...BEGAN, connection: ['60', 100] }],
  ['code: an object', { ...ENDED, code: {} }],
];

test.each(WRONG)('a line with a wrong field is no line of a host: %s', (_, line) => {
  expect(parse(line)).toBeNull();
});
