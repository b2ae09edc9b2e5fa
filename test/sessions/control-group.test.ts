import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isOfThisServer } from '../../src/sessions/control-group.ts';
import { until } from '../e2e/harness/machine.ts';

/** A program whose first thread ends while another one goes on. */
const LEAVES_ITS_FIRST_THREAD = `
import ctypes, threading, time
threading.Thread(target=lambda: (print('', flush=True), time.sleep(600))).start()
ctypes.CDLL(None).pthread_exit(None)
`;

it('a process whose first thread has ended is of this server like any other', async () => {
  const child = spawn('python3', ['-I', '-c', LEAVES_ITS_FIRST_THREAD], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    const pid = child.pid ?? 0;
    await until('the first thread to end', () => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')) || undefined);
    expect(isOfThisServer(pid)).toBe(true);
  } finally {
    child.kill('SIGKILL');
  }
});

it('a process in another control group is not of this server; one that seems to be at the top is, if its first thread has ended', () => {
  const own = '9:memory:/docker/x\n1:name=systemd:/docker/x\n0::/docker/x\n';
  const judge = (groups: string, state: string): boolean => {
    const proc = mkdtempSync(join(tmpdir(), 'proc-'));
    try {
      for (const name of ['self', '7']) mkdirSync(join(proc, name));
      writeFileSync(join(proc, 'self/cgroup'), own);
      writeFileSync(join(proc, '7/cgroup'), groups);
      writeFileSync(join(proc, '7/stat'), `7 (a) Z) ${state} 1 7`);
      return isOfThisServer(7, proc);
    } finally {
      rmSync(proc, { recursive: true });
    }
  };
  const [other, top] = [own.replaceAll('/x', '/y'), '9:memory:/\n1:name=systemd:/\n0::/docker/x\n'];
  expect([judge(own, 'S'), judge(other, 'S'), judge(top, 'S')]).toEqual([true, false, false]);
  expect([judge(top, 'Z'), judge(other, 'Z'), judge(top.replace('::/docker/x', '::/'), 'Z')]).toEqual([
    true,
    false,
    false,
  ]);
  expect(isOfThisServer(8, '/nowhere')).toBe(false);
});
