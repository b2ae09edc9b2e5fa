import { expect, it } from 'vitest';
import { createAlarms, freshAlarms } from '../../src/sessions/alarms.ts';

const MINUTE = 60_000;

const start = () => {
  const time = { now: 0 };
  return { time, alarms: createAlarms(() => time.now) };
};

it('each alarm is told once, and again when it has been quiet', () => {
  const { time, alarms } = start();
  expect([alarms.raise('a'), alarms.raise('a'), alarms.raise('b')]).toEqual([true, false, true]);
  time.now = 11 * MINUTE;
  expect(alarms.raise('a')).toBe(true);
  expect(alarms.list()).toEqual([
    { what: 'a', times: 3, last: 11 * MINUTE },
    { what: 'b', times: 1, last: 0 },
  ]);
});

it('an alarm makes the server unhealthy for ten minutes, and is kept for a day', () => {
  const { time, alarms } = start();
  alarms.raise('a');
  expect(freshAlarms(alarms.list(), 10 * MINUTE)).toHaveLength(1);
  expect(freshAlarms(alarms.list(), 11 * MINUTE)).toEqual([]);
  time.now = 24 * 60 * MINUTE + 1;
  expect(alarms.list()).toEqual([]);
});

it('alarms fill no memory, however many there are', () => {
  const { alarms } = start();
  for (let n = 0; n < 10_000; n += 1) alarms.raise(`alarm ${n}`);
  expect(alarms.list()).toHaveLength(100);
});
