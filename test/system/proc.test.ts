import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import {
  capabilitiesOf,
  readStatFields,
  readStatus,
  readWords,
  statFields,
  statusField,
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

test('capabilities are told by number; where the kernel tells none, nothing is missing', () => {
  const has = capabilitiesOf('CapPrm:\t0000000000000000\nCapEff:\t0000008000000001\n');
  expect([0, 1, 38, 39, 40].filter(has)).toEqual([0, 39]);
  expect(capabilitiesOf('Name:\tsh\n')(21)).toBe(true);
});
