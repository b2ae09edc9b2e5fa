import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { newestProcesses } from '../../src/sessions/newest-process.ts';

let proc = '';
afterEach(() => rmSync(proc, { recursive: true, force: true }));

/** A /proc of these processes, by pid: parent and thread group. */
const procOf = (loadavg: string, processes: Readonly<Record<number, readonly [number, number]>>): string => {
  proc = mkdtempSync(join(tmpdir(), 'borgserver-proc-'));
  writeFileSync(join(proc, 'loadavg'), loadavg);
  for (const [pid, [parent, group]] of Object.entries(processes)) {
    mkdirSync(join(proc, pid));
    writeFileSync(join(proc, pid, 'status'), `Tgid:\t${group}\nPPid:\t${parent}\nUid:\t10001\t0\n`);
    writeFileSync(join(proc, pid, 'stat'), `${pid} (x) S ${parent} ${Array.from({ length: 40 }, () => 1).join(' ')}`);
  }
  return proc;
};
const found = (folder: string, ...known: readonly number[]) =>
  newestProcesses(new Set(known), folder).map(({ pid, parent, uid }) => [pid, parent, uid]);

it('a process that is in no list is found by the kernel’s newest number, with its parents that are not known', () => {
  const folder = procOf('0.00 0.01 0.05 1/300 77\n', { 77: [76, 77], 76: [1, 76] });
  expect(found(folder, 1)).toEqual([
    [77, 76, 10_001],
    [76, 1, 10_001],
  ]);
  expect(found(folder, 1, 77)).toEqual([]);
});

it('nothing is found if the number is that of a thread, if the process has ended, or if the kernel does not tell', () => {
  expect(found(procOf('0.00 0.01 0.05 1/300 77\n', { 77: [1, 70] }))).toEqual([]);
  rmSync(proc, { recursive: true });
  expect(found(procOf('0.00 0.01 0.05 1/300 78\n', { 77: [1, 77] }))).toEqual([]);
  rmSync(proc, { recursive: true });
  for (const text of ['', 'nonsense', '0.00 0.01 0.05 1/300 0']) {
    expect(found(procOf(text, {}))).toEqual([]);
    rmSync(proc, { recursive: true });
  }
});

it('a process whose parent cannot be found any more is looked at once more, but not without end', () => {
  expect(found(procOf('0.00 0.01 0.05 1/300 77\n', { 77: [76, 77] }), 1).length).toBeLessThan(2);
});
