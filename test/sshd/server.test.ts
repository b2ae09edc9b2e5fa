import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Message } from '../../src/sshd/message.ts';
import { type SshdExit, startSshd } from '../../src/sshd/server.ts';
import { readStatFields } from '../../src/system/proc.ts';
import { until } from '../e2e/harness/machine.ts';

// Real programs on a machine that may be busy.
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Waits, and says what was heard until then where it is in vain. */
const untilHeard = (isSo: () => boolean, ...heard: readonly unknown[]): Promise<true> =>
  until('the messages and the end of the script', (saw) => {
    saw(heard);
    return isSo();
  });

/** Stands where sshd does: passes the test, then runs `script`. */
const start = async (script: string) => {
  const sshd = join(folder, 'sshd');
  writeFileSync(sshd, `#!/bin/sh\n[ "$1" = -t ] && exit 0\n${script}\n`, { mode: 0o755 });
  const lines: string[] = [];
  const messages: Message[] = [];
  const exits: SshdExit[] = [];
  const server = await startSshd({
    sshd,
    configPath: '/nonexistent',
    ...{ python: '/usr/bin/python3', starter: join(import.meta.dirname, '../../image/sshd-with-log') },
    onMessage: (message) => {
      messages.push(message);
      lines.push(message.text);
    },
    onExit: (reason) => exits.push(reason),
  });
  return { lines, messages, exits, server };
};

test('each message is one, whatever it holds: a newline in it begins no line', async () => {
  const { lines, exits } = await start(
    `printf 'one\\r\\n' >&2; printf 'two\\r\\nAccepted publickey\\001 too\\342\\200\\250\\r\\n' >&2; printf 'last' >&2`,
  );
  await untilHeard(() => exits.length > 0 && lines.length === 3, lines, exits);
  expect(lines).toEqual(['one', 'two\\015\\012Accepted publickey\\001 too\u2028', 'last']);
});

test('the kernel says who wrote it', async () => {
  const { messages, exits, server } = await start(
    `echo own >&2; setpriv --reuid 4242 --clear-groups sh -c 'echo "$$ $PPID" >&2; while [ ! -e ${folder}/read ] && [ -d /proc/$PPID ]; do sleep 0.05; done' & wait`,
  );
  // Of a writer that has gone nobody knows any more who it was.
  await untilHeard(() => messages.length === 2, messages, exits);
  writeFileSync(join(folder, 'read'), '');
  await untilHeard(() => exits.length > 0, messages, exits);
  const [own, other] = messages;
  const [pid, parent] = (other?.text ?? '').split(' ').map(Number);
  expect(own).toMatchObject({ pid: server.pid, uid: 0, parent: process.pid, text: 'own' });
  expect(other).toMatchObject({ pid, uid: 4242, parent });
  expect(other?.start).toBeGreaterThanOrEqual(own?.start ?? Infinity);
});

test('the parent of a writer that has already ended is unknown', async () => {
  // Five hundred write at once. Some are gone before they are looked at, but none is taken for another process.
  const { messages, exits } = await start('for n in $(seq 500); do (echo "$n" >&2) & done; wait');
  await until('all messages', (saw) => exits.length > 0 && saw(messages.length) === 500);
  expect(new Set(messages.map(({ text }) => text)).size).toBe(500);
  for (const { parent, start } of messages) expect(parent === 0).toBe(start === 0);
});

test('an empty message is not the end of the log', async () => {
  const { lines, exits, server } = await start(
    `echo one >&2; python3 -c 'import os; os.write(2, b"")'; echo two >&2; exec sleep 600`,
  );
  await untilHeard(() => lines.length === 2, lines, exits);
  expect(lines).toEqual(['one', 'two']);
  expect(exits).toEqual([]);
  await server.stop();
});

test('a message of any length costs some kilobytes, not the memory of the server', async () => {
  const { lines, exits } = await start(`head -c 60000 /dev/zero | tr '\\0' x >&2; echo next >&2`);
  await untilHeard(() => exits.length > 0 && lines.at(-1) === 'next', lines, exits);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(4096);
});

test('before it ends, the listener stands still so that somebody may look', async () => {
  const { exits, server } = await start('while :; do sleep 0.01; done');
  let state = '';
  await server.stop(() => {
    state = readStatFields(server.pid ?? 0)[0] ?? '';
  });
  expect(state).toBe('T');
  expect(exits).toEqual([{ code: null, signal: 'SIGTERM', error: null, stopped: true }]);
});

test('a log that ends while sshd runs counts as the end of sshd: no session could be told any more', async () => {
  const { exits, server } = await start('exec 2>/dev/null; exec sleep 600');
  await untilHeard(() => exits.length > 0, exits);
  expect(exits).toMatchObject([{ error: 'its log has ended' }]);
  await server.stop();
});

test('the end of sshd is told once, and how it ended', async () => {
  const died = await start('exit 3');
  await untilHeard(() => died.exits.length > 0, died.exits);
  expect(died.exits).toEqual([{ code: 3, signal: null, error: null, stopped: false }]);
  const stopped = await start('exec sleep 600');
  await stopped.server.stop();
  await stopped.server.stop();
  expect(stopped.exits).toEqual([{ code: null, signal: 'SIGTERM', error: null, stopped: true }]);
});

test('lines of sessions that outlive the listener are still read', async () => {
  const { lines, exits } = await start(`(until [ -e ${folder}/go ]; do sleep 0.05; done; echo late >&2) & exit 0`);
  await untilHeard(() => exits.length > 0, lines, exits);
  expect(lines).toEqual([]);
  writeFileSync(join(folder, 'go'), '');
  await untilHeard(() => lines.includes('late'), lines, exits);
});
