import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { createLeaving } from '../../src/sessions/leaving.ts';
import { readProcess } from '../../src/sessions/processes.ts';
import { session } from './states.ts';

test('a session that is said to be over is kept in mind until its process has ended', async () => {
  const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(sleeper, 'spawn');
  const found = readProcess(sleeper.pid ?? 0);
  if (!found) throw new Error('it has ended');
  const hidden = session({ process: { pid: found.pid, start: found.start } });
  const leaving = createLeaving();
  expect(leaving.take(hidden, 'the client closed it')).toBe(true);
  expect(leaving.gone()).toEqual([]);
  expect(leaving.sessions()).toEqual([hidden]);
  sleeper.kill('SIGKILL');
  await once(sleeper, 'exit');
  expect(leaving.gone()).toEqual([{ session: hidden, how: 'the client closed it' }]);
  expect([leaving.gone(), leaving.sessions()]).toEqual([[], []]);
});

test('one whose process has ended, or is not known, is over', () => {
  const leaving = createLeaving();
  expect(leaving.take(session({ process: { pid: process.pid, start: 1 } }), '')).toBe(false);
  expect(leaving.take(session(), '')).toBe(false);
  expect(leaving.sessions()).toEqual([]);
});
