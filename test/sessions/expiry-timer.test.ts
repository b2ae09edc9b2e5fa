import { expect, test } from 'vitest';
import { createExpiryTimer } from '../../src/sessions/expiry-timer.ts';
import { EPOCH, standingClock } from './standing-clock.ts';

const HOUR = 3_600_000;

const start = () => {
  const { clock, advance, timers } = standingClock();
  let judged = 0;
  const timer = createExpiryTimer(clock, () => {
    judged += 1;
  });
  return { ...{ advance, timers, timer }, judged: () => judged };
};

test('a key is valid within the second that it names, and is judged once that second is over', async () => {
  const { timer, advance, judged } = start();
  timer.set(EPOCH + 5000);
  await advance(5999);
  expect(judged()).toBe(0);
  await advance(1);
  expect(judged()).toBe(1);
});

test('a key that expires later than a timer can wait is looked at again after a day', async () => {
  const { timer, timers } = start();
  timer.set(EPOCH + 900 * 24 * HOUR);
  expect(timers()).toEqual([24 * HOUR]);
});

test('there is only one timer: a new time replaces the former, and no time ends the timer', () => {
  const { timer, timers } = start();
  timer.set(EPOCH + 5000);
  timer.set(EPOCH + 1000);
  expect(timers()).toEqual([2000]);
  timer.set(null);
  expect(timers()).toEqual([]);
});
