import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { findBorg } from '../../src/borg/interpreter.ts';
import { request } from '../e2e/harness/raw-borg.ts';

test('the tests’ own client of borg’s says every value as it is, also a large one', () => {
  const numbers = [0, 1, 127, 128, 255, 256, 1800, 70_000, 1.5, null, true, false];
  const value = {
    numbers,
    text: 'ä'.repeat(300),
    none: [],
    ...Object.fromEntries(numbers.map((_, index) => [`name ${index}`, index])),
  };
  const decode = 'import json, sys, msgpack; print(json.dumps(msgpack.unpackb(sys.stdin.buffer.read(), raw=False)))';
  const said = execFileSync(findBorg().python, ['-I', '-c', decode], { input: request(300, ['open', value]) });
  expect(JSON.parse(said.toString())).toEqual({ i: 300, m: 'open', a: value });
});
