import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readProcess } from '../../src/sessions/processes.ts';
import {
  capabilitiesOf,
  isShown,
  listPids,
  readChildren,
  readControlGroups,
  readNewestPid,
  readOomScoreAdj,
  readStatFields,
  readStatus,
  readUptime,
  readWords,
  statFields,
  statusField,
  writeOomScoreAdj,
} from '../../src/system/proc.ts';

test('a process is read as the kernel tells it, and one that is gone throws', async () => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  try {
    await once(child, 'spawn');
    expect(statusField(readStatus(pid), 'PPid')).toBe(String(process.pid));
    expect(readStatFields(pid)[1]).toBe(String(process.pid));
    expect(readWords(process.pid)[0]).toBe(readWords('self')[0]);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  for (const read of [readStatus, readStatFields, readWords])
    expect(() => read(pid)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test('a name with blanks and parentheses moves no field', () => {
  expect(statFields('7 (a) b (c)) S 1 7').slice(0, 2)).toEqual(['S', '1']);
  expect(statusField('Name:\tUid: 5\nUid:\t0\t1\nCapEff:\n', 'Uid')).toBe('0\t1');
  expect(statusField('Name:\tsh\n', 'Uid')).toBeNull();
});

const NOBODY = 65_534;
const RENAMED = `
import sys
open('/proc/self/comm', 'wb').write(sys.argv[1].encode())
print('renamed', flush=True)
sys.stdin.read()`;

test('the name that a process gives itself is never read as another field, whatever is in it', async () => {
  // Of the characters that begin a line for JavaScript, the kernel escapes only \\n.
  for (const name of ['\rUid:\t0\rPPid:\t1', '\u2028Uid:\t0', '\nUid:\t0', 'x\rTgid:\t1']) {
    const child = spawn('python3', ['-c', RENAMED, name], { uid: NOBODY, stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const pid = child.pid ?? 0;
      const status = readStatus(pid);
      expect(statusField(status, 'Name')).not.toBe('python3');
      expect(statusField(status, 'Uid')).toMatch(new RegExp(`^${NOBODY}\\t`));
      expect(statusField(status, 'PPid')).toBe(String(process.pid));
      expect(statusField(status, 'Tgid')).toBe(String(pid));
      expect(readProcess(pid)).toMatchObject({ pid, parent: process.pid, uid: NOBODY });
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  }
});

test('capabilities are told by number; where the kernel tells none, nothing is missing', () => {
  const has = capabilitiesOf('CapPrm:\t0000000000000000\nCapEff:\t0000008000000001\n');
  expect([0, 1, 38, 39, 40].filter(has)).toEqual([0, 39]);
  expect(capabilitiesOf('Name:\tsh\n')(21)).toBe(true);
});

test('what the kernel tells of processes beyond their status is read as it is', () => {
  const proc = mkdtempSync(join(tmpdir(), 'borgserver-proc-'));
  try {
    for (const thread of ['7', '9']) mkdirSync(join(proc, '7/task', thread), { recursive: true });
    for (const [name, text] of Object.entries({
      ...{ loadavg: '0.00 0.01 0.05 1/300 77\n', uptime: '12.50 40.00\n', '7/cgroup': '0::/docker/ü\n' },
      ...{ '7/oom_score_adj': '-17\n', '7/task/7/stat': '', '7/task/7/children': '70 71 ', '7/task/9/children': '72' },
    }))
      writeFileSync(join(proc, name), text);
    expect(listPids(proc)).toEqual([7]);
    expect(readChildren(7, proc)).toEqual([70, 71, 72]);
    expect([isShown(7, proc), isShown(8, proc)]).toEqual([true, false]);
    expect([readNewestPid(proc), readUptime(proc), readOomScoreAdj(7, proc)]).toEqual([77, 12.5, -17]);
    expect(readControlGroups(7, proc)).toBe('0::/docker/ü\n');
    writeOomScoreAdj(7, 300, proc);
    expect(readOomScoreAdj(7, proc)).toBe(300);
    writeFileSync(join(proc, 'loadavg'), 'nothing\n');
    expect(readNewestPid(proc)).toBe(0);
  } finally {
    rmSync(proc, { recursive: true });
  }
  expect(listPids()).toContain(process.pid);
});
