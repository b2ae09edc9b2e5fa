import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startKeepSocket } from '../../src/control/keep-socket.ts';

let run: string;
let close: () => void;
let finish: (() => void)[];

/** What is asked with `slow` is answered once somebody calls `finish`. */
const answer = async (question: string): Promise<string> => {
  if (question === 'wrong') throw new Error('no answer');
  if (question === 'slow') await new Promise<void>((resolve) => finish.push(resolve));
  return `to ${question}`;
};

beforeEach(async () => {
  run = mkdtempSync(join(tmpdir(), 'borgserver-'));
  finish = [];
  ({ close } = await startKeepSocket(join(run, 'keep'), 0, answer));
});
afterEach(() => {
  close();
  rmSync(run, { recursive: true });
});

/** Says each text once the one before was answered. What came, once the server has hung up or everything was answered. */
const exchange = (...texts: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    let [received, said] = ['', 0];
    const socket = connect(join(run, 'keep')).setEncoding('utf8');
    const say = (): void => {
      if (said === texts.length) socket.end();
      else socket.write(texts[said] ?? '');
      said += 1;
    };
    socket.on('error', () => {});
    socket.on('connect', say);
    socket.on('data', (chunk) => {
      received += String(chunk);
      say();
    });
    socket.on('close', () => resolve(received));
  });

test('each line is answered by a line, in a connection that stays', async () => {
  expect(await exchange('one\n', 'two\n')).toBe('to one\nto two\n');
});

test('who does not wait for the answer, says too much, or asks what has no answer, is hung up on', async () => {
  expect(await exchange('slow\nmore')).toBe('');
  expect(await exchange('one\ntwo\n')).toBe('');
  expect(await exchange('one\n', 'slow\n\n')).toBe('to one\n');
  expect(await exchange('wrong\n')).toBe('');
  expect(await exchange('x'.repeat(9000))).toBe('');
  for (const each of finish) each();
  expect(await exchange('one\n')).toBe('to one\n');
});
