import type { State } from '../accounts/account.ts';
import { type Change, diffStates } from '../accounts/diff.ts';
import type { Registry } from '../accounts/identity.ts';
import { failureInOneLine } from '../failure.ts';
import { drift, type Observed, runningState } from '../host/machine.ts';
import type { PassWorld } from './pass-world.ts';

/** What is left, and who may stay connected. */
export type Taking = {
  /** A part of what runs; null where the machine has nothing to lose. */
  readonly kept: State | null;
  /** The accounts whose sessions go on, where that is more than `kept`: an account that is given again at once. */
  readonly connected?: State;
  /** What the machine has. Null where that has to be looked up. */
  readonly observed: Observed | null;
  readonly owners?: Registry['uids'];
};

/** What the machine has then, null where only another look can tell; and what failed, in order. */
export type Taken = { readonly observed: Observed | null; readonly failures: readonly unknown[] };

/**
 * The one place that takes access away: first from the files, then from those who are connected. Sessions that have lost their right
 * are ended even where the files could not be written; the next pass tries the files again. Never throws.
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

/** What a pass has really done. */
export type Done = {
  readonly changes: readonly Change[];
  readonly failures: readonly unknown[];
  /** What runs now. Null where nobody can tell: the next pass that sees the machine reports what has changed since. */
  readonly now: State | null;
};

/** What was to be done, and from what it was decided. */
export type Planned = {
  readonly running: State;
  readonly target: State;
  readonly planned: readonly Change[];
  readonly owners?: Registry['uids'];
};

/**
 * Says which changes of a plan really happened. Where not everything could be done, it looks at the machine again: nothing is reported
 * as done that was not seen done.
 *
 * @param planned what leads from `running` to `target`; changes of folders have happened, the caller knows that
 */
export const whatIsSo = (
  { machine }: PassWorld,
  { running, target, planned, owners }: Planned,
  { observed, failures }: Taken,
): Done => {
  if (observed) return { changes: planned, failures, now: target };
  const folders = planned.filter(({ kind }) => kind.startsWith('repository-'));
  try {
    const found = machine.observe();
    const now = runningState(found, machine.settings, running);
    const broken = drift(found, now, machine.settings, owners).map(repairOf);
    const repaired = planned.filter((each) => isRepair(each) && !broken.includes(repairOf(each)));
    return { changes: [...diffStates(running, now), ...repaired, ...folders], failures, now };
  } catch (error) {
    return { changes: folders, failures: [...failures, error], now: null };
  }
};

const isRepair = ({ kind }: Change): boolean => kind === 'database-repaired' || kind === 'authorized-keys-repaired';
const repairOf = ({ kind, account }: Change): string => `${kind} ${account}`;

/** What failed, each thing once, as one error that hides none of them. The first one comes first. */
export const asOne = ([first, ...later]: readonly unknown[]): unknown => {
  const others = later.filter((each) => failureInOneLine(each) !== failureInOneLine(first));
  return others.length === 0
    ? first
    : new AggregateError([first, ...others], 'more than one thing failed in this update');
};

/** The same as one sentence for the report. Null where nothing failed. */
export const failureOf = (failures: readonly unknown[]): string | null =>
  failures.length === 0 ? null : [...new Set(failures.map(failureInOneLine))].join('; ');
