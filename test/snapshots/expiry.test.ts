import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expired } from '../../src/snapshots/expiry.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A midnight (UTC). */
const NOON = Date.UTC(2026, 10, 20, 12);
/** Those that are left of snapshots that were taken at these times, in this order. */
const left = (times: readonly number[], now: number, keep: number | null = 14 * DAY): number[] => {
  const snapshots = times.map((at, number) => ({ number, at }));
  const gone = new Set(expired(snapshots.toReversed(), { keep, now }).map(({ number }) => number));
  return times.filter((_, number) => !gone.has(number));
};

describe('the snapshots of a repository', () => {
  it('are all kept on their first day', () => {
    const hourly = Array.from({ length: 20 }, (_, hour) => NOON + hour * HOUR);
    expect(left(hourly, NOON + 20 * HOUR)).toEqual(hourly);
  });

  it('are one a day afterwards: the last state of each day', () => {
    const hourly = Array.from({ length: 72 }, (_, hour) => NOON + hour * HOUR);
    const kept = left(hourly, NOON + 72 * HOUR);
    expect(kept.filter((each) => each < NOON + 47 * HOUR)).toEqual([NOON + 11 * HOUR, NOON + 35 * HOUR]);
    expect(kept.filter((each) => each >= NOON + 47 * HOUR)).toHaveLength(25);
  });

  it('are spared where an undo has replaced them, and live no longer than others', () => {
    const snapshots = [0, 1, 2, 48, 72, 96].map((hour, number) => ({ number, at: NOON + hour * HOUR }));
    const gone = (now: number): readonly number[] =>
      expired(snapshots, { keep: 14 * DAY, now, isSpared: ({ number }) => number === 1 }).map(({ number }) => number);
    expect(gone(NOON + 97 * HOUR)).toEqual([0]);
    expect(gone(NOON + 14 * DAY + 3 * HOUR)).toEqual([0, 1]);
  });

  it('live from the moment in which the next one is taken: the last one outlives every time', () => {
    expect(left([NOON], NOON + 1000 * DAY)).toEqual([NOON]);
    // A thief comes after a year. The state before is a day old, not a year.
    expect(left([NOON, NOON + 365 * DAY], NOON + 366 * DAY)).toEqual([NOON, NOON + 365 * DAY]);
    const [first, ...later] = [0, 365, 366, 367].map((day) => NOON + day * DAY);
    expect(left([first ?? 0, ...later], NOON + 379 * DAY)).toEqual([first, ...later]);
    expect(left([first ?? 0, ...later], NOON + 380 * DAY)).toEqual(later);
  });

  it('do not all expire where the clock is years ahead: the last states of three days stay, or of as many days as are kept', () => {
    const hourly = Array.from({ length: 96 }, (_, hour) => NOON + hour * HOUR);
    const daysOf = (kept: readonly number[]) => kept.map((each) => (each - NOON) / HOUR);
    expect(daysOf(left(hourly, NOON + 9999 * DAY))).toEqual([59, 83, 95]);
    expect(daysOf(left(hourly, NOON + 9999 * DAY, DAY))).toEqual([95]);
    expect(daysOf(left(hourly, NOON + 9999 * DAY, HOUR))).toEqual([95]);
  });

  it('are kept for as long as the operator says, also without end', () => {
    const daily = Array.from({ length: 40 }, (_, day) => NOON + day * DAY);
    expect(left(daily, NOON + 39 * DAY, 3 * DAY)).toEqual(daily.slice(-5));
    expect(left(daily, NOON + 39 * DAY, DAY)).toEqual(daily.slice(-3));
    expect(left(daily, NOON + 39 * DAY, null)).toEqual(daily);
  });

  it('are in the order in which they were taken, whatever the clock said', () => {
    // It ran ahead for an hour, and was set back.
    const [one, ahead, two, three] = [NOON, NOON + 9999 * DAY, NOON + 2 * HOUR, NOON + 3 * HOUR];
    expect(left([one, ahead, two, three], NOON + 4 * HOUR)).toEqual([one, ahead, two, three]);
    const daily = Array.from({ length: 30 }, (_, day) => NOON + (day + 1) * DAY);
    // The one before the clock ran ahead does not look replaced. All others expire in their turn.
    expect(left([one, ahead, two, three, ...daily], NOON + 30 * DAY)).toEqual([one, ...daily.slice(-16)]);
    expect(left([one, two, three], NOON - DAY)).toEqual([one, two, three]);
  });

  it('whatever they are: each time within the days to keep is in the last state of its day, or in a state of its own', () => {
    const keep = 5 * DAY;
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 240 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: 300 }),
        (hours, later) => {
          const times = hours.map((hour) => NOON + hour * HOUR).sort((a, b) => a - b);
          const now = NOON + later * HOUR;
          const kept = new Set(left(times, now, keep));
          expect(kept.has(times.at(-1) ?? -1)).toBe(true);
          for (const [place, each] of times.entries()) {
            const next = times[place + 1];
            if (next === undefined || now - next > keep) continue;
            const lastOfItsDay = times.filter((other) => Math.floor(other / DAY) === Math.floor(each / DAY)).at(-1);
            expect(kept.has(each) || kept.has(lastOfItsDay ?? -1)).toBe(true);
          }
        },
      ),
    );
  });
});
