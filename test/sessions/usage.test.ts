import { spawn, spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { readUsage, together } from '../../src/sessions/usage.ts';
import { until } from '../e2e/harness/machine.ts';

test('the CPU time and the largest memory of a process are told', async () => {
  const script = 'large = b"x" * 90_000_000; del large; sum(range(3_000_000)); print("done", flush=True); input()';
  const child = spawn('python3', ['-I', '-c', script]);
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const used = readUsage(child.pid ?? 0);
    expect(used?.cpuSeconds).toBeGreaterThan(0.01);
    expect(used?.peakMemory).toBeGreaterThan(90_000_000);
    expect(used?.peakMemory).toBeLessThan(300_000_000);
  } finally {
    child.kill('SIGKILL');
  }
  await until('the process to be gone', () => readUsage(child.pid ?? 0) === null);
});

test('nothing is told of a process that has ended', () => {
  expect(readUsage(spawnSync('true').pid)).toBeNull();
});

test('several processes together have the sum of their times, and the memory of the largest', () => {
  const [one, two] = [
    { cpuSeconds: 0.5, peakMemory: 30 },
    { cpuSeconds: 0.25, peakMemory: 20 },
  ];
  expect(together([one, two])).toEqual({ cpuSeconds: 0.75, peakMemory: 30 });
});
