import type { Clock } from '../system/clock.ts';

/** Node's timers know no longer time (setTimeout: a larger one fires at once). */
const LONGEST_MS = 2 ** 31 - 2;

/** Timers with names: each name has one at most. */
export const createTimers = (clock: Pick<Clock, 'after'>) => {
  const timers = new Map<string, { readonly cancel: () => void }>();
  const set = (name: string, milliseconds: number, act: () => void): void => {
    timers.get(name)?.cancel();
    timers.delete(name);
    if (milliseconds === Infinity) return;
    const now = Math.min(milliseconds, LONGEST_MS);
    const timer = clock.after(now, () => {
      timers.delete(name);
      if (milliseconds > now) set(name, milliseconds - now, act);
      else act();
    });
    timers.set(name, timer);
  };
  return {
    /** Acts then, and not when it was to before. @param milliseconds Infinity: not at all */
    set,
    has: (name: string): boolean => timers.has(name),
    close: (): void => {
      for (const { cancel } of timers.values()) cancel();
      timers.clear();
    },
  };
};
