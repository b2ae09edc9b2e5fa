import type { Clock } from '../../src/system/clock.ts';

/** Lets everything run that needs no time. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** The time of day at which the clock begins. */
export const EPOCH = Date.parse('2026-01-01T12:00:00Z');

/** A clock that stands still until it is told to go on. */
export const standingClock = () => {
  let now = 0;
  let timers: { readonly at: number; readonly action: () => void }[] = [];
  const add = (at: number, action: () => void): { readonly cancel: () => void } => {
    const timer = { at, action };
    timers.push(timer);
    return {
      cancel: () => {
        timers = timers.filter((other) => other !== timer);
      },
    };
  };
  const every: Clock['every'] = (milliseconds, action) => {
    const again = () => {
      timer = add(now + milliseconds, again);
      action();
    };
    let timer = add(now + milliseconds, again);
    return { cancel: () => timer.cancel() };
  };
  const clock: Clock = {
    now: () => EPOCH + now,
    steady: () => now,
    after: (milliseconds, action) => add(now + milliseconds, action),
    every,
  };
  const advance = async (milliseconds: number): Promise<void> => {
    const end = now + milliseconds;
    for (;;) {
      const next = timers.toSorted((a, b) => a.at - b.at)[0];
      if (!next || next.at > end) break;
      timers = timers.filter((other) => other !== next);
      now = Math.max(now, next.at);
      next.action();
      await settle();
    }
    now = end;
    await settle();
  };
  return { clock, advance, timers: () => timers.map(({ at }) => at - now).sort((a, b) => a - b) };
};
