import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { descendants, type Process } from '../../src/sessions/process.ts';
import {
  createTicks,
  isAlive,
  listProcesses,
  processesBelow,
  readProcess,
  readWords,
} from '../../src/sessions/processes.ts';
import { until } from '../e2e/harness/machine.ts';

let proc = '';
afterEach(() => rmSync(proc, { recursive: true, force: true }));

/** A /proc that has only this process, with its real figures or with others. */
const scratchProc = (files: Readonly<Record<string, string>> = {}): string => {
  proc = mkdtempSync(join(tmpdir(), 'borgserver-proc-'));
  mkdirSync(join(proc, String(process.pid)));
  for (const name of ['status', 'stat', 'cmdline'])
    writeFileSync(join(proc, String(process.pid), name), readFileSync(`/proc/self/${name}`));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(proc, name), text);
  return proc;
};

it('a program whose name looks like the fields behind it is read rightly', () => {
  const stat = `${process.pid} (x) R 1 2) S ${Array.from({ length: 30 }, (_, index) => index + 4).join(' ')}`;
  expect(readProcess(process.pid, scratchProc({ [`${process.pid}/stat`]: stat }))?.start).toBe(22);
});

it('a process that has ended is null; one that cannot be read is a fault, and is never taken for ended', () => {
  expect(readProcess(4_194_305)).toBe(null);
  expect(() => readProcess(1, '/proc/self/cmdline')).toThrow(/ENOTDIR/);
});

it('below a process are its children and their children, and nobody else', () => {
  const parents: Readonly<Record<number, number>> = { 2: 1, 3: 1, 4: 3, 5: 4, 6: 2 };
  const processes = Object.entries(parents).map(
    ([pid, parent]): Process => ({ pid: Number(pid), parent, uid: 0, start: 0, ended: false }),
  );
  const children = Map.groupBy(processes, ({ parent }) => parent);
  expect(descendants(3, children).map(({ pid }) => pid)).toEqual([4, 5]);
  expect(descendants(9, children)).toEqual([]);
});

it('the processes below another are found without a look at all processes; that look is only needed if the kernel does not tell', async () => {
  const child = spawn('sh', ['-c', 'sleep 1000 & sleep 1000 & (sleep 1000; :) & wait'], {
    stdio: 'ignore',
    detached: true,
  });
  const { pid = 0 } = child;
  try {
    const whole = () => {
      const below = processesBelow(pid);
      return below.filter((each) => readWords(each.pid)[0] === 'sleep').length === 3 && below;
    };
    const below = await until('all children to run', whole);
    expect(below.map((each) => readWords(each.pid)[0]).sort()).toEqual(['sh', 'sleep', 'sleep', 'sleep']);
    const children = Map.groupBy(listProcesses(), ({ parent }) => parent);
    expect(below.map((each) => each.pid).sort()).toEqual(
      descendants(pid, children)
        .map((each) => each.pid)
        .sort(),
    );
  } finally {
    process.kill(-pid, 'SIGKILL');
  }
  expect(processesBelow(4_194_305)).toEqual([]);

  scratchProc();
  const task = join(proc, String(process.pid), 'task', String(process.pid));
  mkdirSync(task, { recursive: true });
  writeFileSync(join(task, 'stat'), '');
  mkdirSync(join(proc, '77'));
  for (const name of ['stat', 'cmdline'])
    writeFileSync(join(proc, '77', name), readFileSync(join(proc, String(process.pid), name)));
  writeFileSync(join(proc, '77/status'), `PPid:\t${process.pid}\nUid:\t0\n`);
  expect(processesBelow(process.pid, proc).map((each) => each.pid)).toEqual([77]);
});

it('the clock goes on if /proc/uptime is missing; if that stands still, the clock is never behind the start of this process', () => {
  const { start = 0 } = readProcess(process.pid) ?? {};
  expect(createTicks(scratchProc())()).toBeGreaterThanOrEqual(start);
  rmSync(proc, { recursive: true });
  expect(createTicks(scratchProc({ uptime: '1.00 1.00\n' }))()).toBeGreaterThanOrEqual(start);
  rmSync(proc, { recursive: true });
  expect(createTicks(scratchProc({ uptime: '99999999.50 1.00\n' }))()).toBe(9_999_999_950);
});

it('a process whose first thread has ended is alive; a zombie is not', () => {
  const stat = (state: string, threads: number) =>
    `${process.pid} (x) ${state} 1 ${Array.from({ length: 15 }, () => 0).join(' ')} ${threads} 0 100 ${Array.from({ length: 30 }, () => 0).join(' ')}`;
  const alive = (state: string, threads: number) =>
    isAlive({ pid: process.pid, start: 100 }, scratchProc({ [`${process.pid}/stat`]: stat(state, threads) }));
  expect([alive('S', 1), alive('Z', 2), alive('Z', 1), alive('X', 0)]).toEqual([true, true, false, false]);
});
