import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { createClosing } from '../../src/sessions/closing.ts';
import { createHosted } from '../../src/sessions/hosted.ts';
import type { Closed, Ledger } from '../../src/sessions/ledger.ts';
import { openProc } from '../../src/sessions/proc.ts';
import { readProcess } from '../../src/sessions/processes.ts';
import type { Session } from '../../src/sessions/session.ts';
import { readUsage } from '../../src/sessions/usage.ts';
import { until } from '../e2e/harness/machine.ts';

const ROOT = { pid: 100, start: 7 };
const SESSION: Session = {
  ...{ peer: '192.0.2.7|4000', address: '192.0.2.7', port: 4000, account: 'web01', role: 'repo', uid: 10_000 },
  ...{ subRepositories: false, fingerprint: 'SHA256:a', comment: 'root@web01', file: null, line: null },
  ...{ since: 0, steadySince: 0, process: ROOT },
};
const CLOSED: Closed = { session: SESSION, seen: true, how: 'disconnected', child: null, gone: 0 };

let child: ChildProcess | null = null;
afterEach(() => {
  child?.kill('SIGKILL');
  child = null;
});

const start = () => {
  const lines: object[] = [];
  const write = (facts: object, message: string): void => void lines.push({ ...facts, message });
  const asked: boolean[] = [];
  const gone: Ledger['gone'] = (_, __, isUsed = () => false) => {
    asked.push(isUsed(ROOT));
    return [CLOSED];
  };
  const hosted = createHosted(() => true);
  const closing = createClosing({
    ...{ log: { info: write, warn: write, error: write }, hosted, ledger: { gone }, proc: openProc() },
    ...{ traffic: { of: () => undefined }, steady: () => 3000, endOf: () => undefined, onClosed: () => {} },
  });
  return { lines, asked, hosted, closing };
};
const session = (process: { readonly pid: number; readonly start: number }) => ({
  ...{ process, client: { pid: 101, start: 8 }, connection: ROOT, uid: 10_000 },
});

test('the line of a closed session tells what the hosted sessions of its connection have used', () => {
  const { lines, asked, hosted, closing } = start();
  for (const pid of [500, 501]) hosted.began(session({ pid, start: 9 }));
  hosted.ended({ pid: 500, start: 9 }, { cpuSeconds: 0.1234, peakMemory: 31_457_280 });
  hosted.ended({ pid: 501, start: 9 }, { cpuSeconds: 0.0012, peakMemory: 30_000_000 });
  closing.settle();
  expect(lines).toEqual([
    expect.objectContaining({ ...{ message: 'session closed', account: 'web01', seconds: 3 }, cpuSeconds: 0.12 }),
  ]);
  expect(lines[0]).toMatchObject({ peakMemory: 31_457_280 });
  expect(asked).toEqual([false]);
});

test('the line tells no usage if there was no hosted session', () => {
  const { lines, closing } = start();
  closing.settle();
  expect(lines[0]).not.toHaveProperty('cpuSeconds');
  expect(lines[0]).not.toHaveProperty('peakMemory');
});

test('for a hosted session that goes on, the line tells what it has used until now; the line waits for it, but not at the end of the server', async () => {
  const { lines, asked, hosted, closing } = start();
  child = spawn('python3', ['-I', '-c', 'end = 0\nwhile True: end += 1']);
  const { pid = 0 } = child;
  await until('the process to have used some CPU time', () => (readUsage(pid)?.cpuSeconds ?? 0) > 0.05);
  hosted.began(session({ pid, start: readProcess(pid)?.start ?? 0 }));
  closing.settle();
  closing.settle(true);
  expect(asked).toEqual([true, false]);
  const { cpuSeconds, peakMemory } = lines[0] as { cpuSeconds: number; peakMemory: number };
  expect([cpuSeconds > 0, peakMemory > 1_000_000]).toEqual([true, true]);
});
