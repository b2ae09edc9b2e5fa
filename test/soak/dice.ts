import { type Dice, diceOf } from '../keys/hostile-lines.ts';

export type { Dice };

/** The dice of one step. How often a step throws them changes nothing for the steps after it. */
export const diceAt = (seed: number, step: number): Dice => diceOf(Math.imul(seed, 2_654_435_761) + step);

/** One of the list. Of an empty list it is `otherwise`, or undefined if that is not given. */
export function pick<T>(dice: Dice, list: readonly T[], otherwise: T): T;
export function pick<T>(dice: Dice, list: readonly T[]): T | undefined;
export function pick<T>(dice: Dice, list: readonly T[], otherwise?: T): T | undefined {
  const at = dice(Math.max(1, list.length));
  return at < list.length ? list[at] : otherwise;
}

/** The list in another order. */
export const shuffled = <T>(dice: Dice, list: readonly T[]): readonly T[] =>
  list
    .map((each) => [dice(1_000_000), each] as const)
    .sort(([a], [b]) => a - b)
    .map(([, each]) => each);
