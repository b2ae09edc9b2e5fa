import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { whileStandingStill } from '../../src/sessions/standstill.ts';
import { readStatFields } from '../../src/system/proc.ts';
import { until } from '../e2e/harness/machine.ts';

/** Only this test uses this user id, since all of its processes are made to stand still. */
const UID = 64_321;
const running: ChildProcess[] = [];
afterEach(() => {
  for (const each of running.splice(0)) each.kill('SIGKILL');
});

const stateOf = ({ pid }: ChildProcess): string | undefined => readStatFields(pid ?? 0)[0];

test('all processes of a user id stand still, and go on even if the work fails', async () => {
  for (let count = 0; count < 3; count += 1) {
    const child = spawn('/bin/sleep', ['600'], { uid: UID, gid: UID, stdio: 'ignore' });
    running.push(child);
    await once(child, 'spawn');
  }
  const work = whileStandingStill(UID, async () => {
    await until('all processes to stand still', () => running.every((each) => stateOf(each) === 'T'));
    throw new Error('the work fails');
  });
  await expect(work).rejects.toThrow('the work fails');
  await until('all processes to go on', () => running.every((each) => stateOf(each) === 'S'));
});
