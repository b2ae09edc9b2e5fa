import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { MAX_LINE_BYTES, type SshdExit, startSshd } from '../../src/sshd/server.ts';
import { until } from './private-machine.ts';

// Real programs on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'borgserver-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Stands where sshd does: passes the test, then runs `script`. */
const start = async (script: string) => {
  const sshd = join(folder, 'sshd');
  writeFileSync(sshd, `#!/bin/sh\n[ "$1" = -t ] && exit 0\n${script}\n`, { mode: 0o755 });
  const lines: string[] = [];
  const exits: SshdExit[] = [];
  const server = await startSshd({
    sshd,
    configPath: '/nonexistent',
    onLine: (line) => lines.push(line),
    onExit: (reason) => exits.push(reason),
  });
  return { lines, exits, server };
};

test('lines are split where sshd ends them and nowhere else', async () => {
  const { lines, exits } = await start(
    `printf 'one\\r\\ntwo \\r still two\\342\\200\\250too\\n\\nthr' >&2; sleep 0.1; printf 'ee\\nlast' >&2`,
  );
  await until(() => exits.length > 0 && lines.length === 4);
  expect(lines).toEqual(['one', 'two \r still two\u2028too', 'three', 'last']);
});

test('a line without an end costs 4 KiB, not the memory of the server', async () => {
  const { lines, exits } = await start(`head -c 3000000 /dev/zero | tr '\\0' x >&2; printf '\\nnext\\n' >&2`);
  await until(() => exits.length > 0 && lines.length === 2);
  expect(lines).toEqual(['x'.repeat(MAX_LINE_BYTES), 'next']);
});

test('the end of sshd is told once, with how it came about', async () => {
  const died = await start('exit 3');
  await until(() => died.exits.length > 0);
  expect(died.exits).toEqual([{ code: 3, signal: null, error: null, stopped: false }]);
  const stopped = await start('exec sleep 60');
  await stopped.server.stop();
  await stopped.server.stop();
  expect(stopped.exits).toEqual([{ code: null, signal: 'SIGTERM', error: null, stopped: true }]);
});

test('lines of sessions that outlive the listener are still read', async () => {
  const { lines, exits } = await start(`(until [ -e ${folder}/go ]; do sleep 0.05; done; echo late >&2) & exit 0`);
  await until(() => exits.length > 0);
  expect(lines).toEqual([]);
  writeFileSync(join(folder, 'go'), '');
  await until(() => lines.includes('late'));
});
