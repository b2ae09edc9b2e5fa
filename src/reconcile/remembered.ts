import { accountNamed, type State, stateOf } from '../accounts/account.ts';
import type { Declaration } from '../accounts/declaration.ts';
import type { Desired } from '../accounts/desired.ts';
import { diffStates } from '../accounts/diff.ts';
import type { Registry } from '../accounts/identity.ts';
import { intersect } from '../accounts/narrow.ts';
import type { RepositoryFolder } from '../accounts/repository-folder.ts';
import { overdue, type Waiting } from '../accounts/stillness.ts';
import type { Observed } from '../host/machine.ts';
import type { PassWorld } from './pass-world.ts';
import { type Done, takeAway, whatIsSo } from './take-away.ts';

/** What a pass leaves behind if it could do everything it wanted. The next pass may begin with it instead of looking. */
export type Remembered = {
  readonly observed: Observed;
  readonly running: State;
  /** What the tree said, without the losses that wait. */
  readonly wanted: State;
  /** The folders of the accounts that run. */
  readonly folders: ReadonlyMap<string, RepositoryFolder>;
  readonly registry: Registry;
};

/** @param folders as they were before the preparations; another look will show what these changed */
export const remember = (
  observed: Observed,
  running: State,
  { accounts, registry }: Pick<Desired, 'accounts' | 'registry'>,
  preparations: Desired['preparations'],
  folders: readonly RepositoryFolder[],
): Remembered => {
  const changed = new Set<string>(preparations.map(({ name }) => name));
  const settled = folders.filter(({ name }) => accountNamed(running, name) !== undefined && !changed.has(name));
  return { observed, running, wanted: accounts, registry, folders: new Map(settled.map((each) => [each.name, each])) };
};

/**
 * Takes away what has waited long enough, before anything else is decided or given.
 *
 * @param now when the pass began, before it looked at the files; milliseconds of a steady clock
 * @returns what the machine has then, null where only another look can tell; and what was really taken
 */
export const takeOverdue = (
  world: PassWorld,
  last: Remembered,
  declaration: Declaration,
  waiting: Waiting,
  now: number,
): Done & { readonly last: Remembered | null } => {
  const nothing = { last, changes: [], failures: [], now: last.running };
  if (waiting.size === 0) return nothing;
  const due = overdue(waiting, declaration, now);
  // An account with a new uid is taken away and given again. That is too much for this step.
  const concerned = [...last.running.values()].filter(
    ({ name, uid }) => due.has(name) && (last.wanted.get(name)?.uid ?? uid) === uid,
  );
  if (concerned.length === 0) return nothing;
  const kept = intersect(stateOf(concerned), last.wanted, world.roleQuotas);
  const untouched = new Map(last.running);
  for (const { name } of concerned) untouched.delete(name);
  const running = stateOf([...untouched.values(), ...kept.values()]);
  const taken = takeAway(world, { kept: running, observed: last.observed, owners: last.registry.uids });
  // Where it failed, the pass that follows looks at everything and tries again.
  const planned = diffStates(last.running, running);
  const done = whatIsSo(world, { running: last.running, target: running, planned, owners: last.registry.uids }, taken);
  return { ...done, last: taken.observed && { ...last, observed: taken.observed, running } };
};
