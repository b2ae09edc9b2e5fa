import type { State } from '../accounts/account.ts';
import { type Change, diffStates } from '../accounts/diff.ts';
import type { Registry } from '../accounts/identity.ts';
import { type Observed, runningState } from '../host/machine.ts';
import { describeError } from './describe-error.ts';
import type { PassWorld } from './pass.ts';

/** What is left, and who may stay connected. */
export type Taking = {
  /** A part of what runs; null where the machine has nothing to lose. */
  readonly kept: State | null;
  /** Whose sessions go on, where that is more than `kept`: an account that is given anew at once. */
  readonly connected?: State;
  /** What the machine has; null where that has to be looked up. */
  readonly observed: Observed | null;
  readonly owners?: Registry['uids'];
};

/** What the machine has then, null where only another look can tell; and what failed, in order. */
export type Taken = { readonly observed: Observed | null; readonly failures: readonly unknown[] };

/**
 * The one place that takes access away: from the files, and then from who is connected. Sessions that have lost their right are ended
 * also where the files could not be written, and then the next pass tries those again. Never throws.
 */
export const takeAway = (world: PassWorld, { kept, connected, observed, owners }: Taking): Taken => {
  const failures: unknown[] = [];
  const attempt = <T>(action: () => T): T | null => {
    try {
      return action();
    } catch (error) {
      failures.push(error);
      return null;
    }
  };
  const left = kept
    ? attempt(() => world.machine.write(kept, 'revoke', observed ?? world.machine.observe(), owners))
    : observed;
  const told = connected ?? kept;
  if (told) attempt(() => world.onAccess(told));
  return { observed: left, failures };
};

/** What is gone from `running`, by another look where not all could be done: nothing is told as gone that may be there. */
export const whatIsGone = (
  { machine }: PassWorld,
  running: State,
  kept: State,
  { observed, failures }: Taken,
): { readonly changes: readonly Change[]; readonly failures: readonly unknown[] } => {
  if (observed) return { changes: diffStates(running, kept), failures };
  try {
    return { changes: diffStates(running, runningState(machine.observe(), machine.settings)), failures };
  } catch (error) {
    return { changes: [], failures: [...failures, error] };
  }
};

/** What failed, each thing once, as one error that hides none of them; the first comes first. */
export const asOne = ([first, ...later]: readonly unknown[]): unknown => {
  const others = later.filter((each) => describeError(each) !== describeError(first));
  return others.length === 0
    ? first
    : new AggregateError([first, ...others], 'more than one thing failed in this update');
};

/** The same as one sentence for the report; null where nothing failed. */
export const failureOf = (failures: readonly unknown[]): string | null =>
  failures.length === 0 ? null : [...new Set(failures.map(describeError))].join('; ');
