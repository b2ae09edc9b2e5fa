import { describe, expect, it } from 'vitest';
import { createIdleCollection } from '../../src/daemon/idle-collection.ts';
import type { Clock } from '../../src/system/clock.ts';

/** A clock whose timers run when the test says so. */
const heldClock = () => {
  // Not a set of actions: two timers may have the same one.
  const timers = new Map<symbol, () => void>();
  const clock: Pick<Clock, 'after'> = {
    after: (_milliseconds, action) => {
      const timer = Symbol('timer');
      timers.set(timer, action);
      return { cancel: () => void timers.delete(timer) };
    },
  };
  const ring = (): void => {
    for (const [timer, action] of [...timers]) {
      timers.delete(timer);
      action();
    }
  };
  return { clock, ring };
};

const started = () => {
  let collected = 0;
  const { clock, ring } = heldClock();
  const collection = createIdleCollection(clock, () => {
    collected += 1;
  });
  return { collection, ring, collected: () => collected };
};

describe('the memory that passes leave behind', () => {
  it('is given back once for a burst of passes, when the last of them is a while ago', () => {
    const { collection, ring, collected } = started();
    collection.passEnded();
    collection.passEnded();
    expect(collected()).toBe(0);
    ring();
    expect(collected()).toBe(1);
    ring();
    expect(collected()).toBe(1);
    collection.passEnded();
    ring();
    expect(collected()).toBe(2);
  });

  it('is let alone once the server ends', () => {
    const { collection, ring, collected } = started();
    collection.passEnded();
    collection.close();
    ring();
    expect(collected()).toBe(0);
  });
});
