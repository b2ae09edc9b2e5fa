import { type Account, accountNamed, type State } from '../accounts/account.ts';
import type { Preparation } from '../accounts/desired.ts';
import { type Change, diffStates } from '../accounts/diff.ts';
import { errorAt, type Finding } from '../accounts/finding.ts';
import type { Registry } from '../accounts/identity.ts';
import { intersect } from '../accounts/narrow.ts';
import { failureInOneLine } from '../failure.ts';
import type { Observed } from '../host/machine.ts';
import type { PassWorld } from './pass-world.ts';
import { adoptionGoesOn } from './prepare.ts';
import { type Done, takeAway, whatIsSo } from './take-away.ts';

/** What a pass has decided, and from what. */
export type Plan = {
  readonly observed: Observed;
  readonly running: State;
  readonly target: State;
  readonly changes: readonly Change[];
  readonly preparations: readonly Preparation[];
  /** What is on record, and what must be on record. */
  readonly recorded: Registry;
  readonly registry: Registry;
};

export type Applied = Done & {
  /** The accounts that may be connected. */
  readonly granted: State;
  readonly findings: readonly Finding[];
  /** What the machine has now. Null where something was not done: then only another look can tell. */
  readonly observed: Observed | null;
};

/** Takes away what is gone, ends the sessions that lost their right, records the uids, prepares folders, and gives the rest. */
export const apply = async (world: PassWorld, plan: Plan, signal: AbortSignal): Promise<Applied> => {
  const { machine, roleQuotas } = world;
  const { running, target, changes, preparations, registry } = plan;
  const failures: unknown[] = [];
  let observed: Observed | null = plan.observed;
  const give = (state: State): void => {
    try {
      observed = machine.write(state, 'grant', observed ?? machine.observe(), owners);
    } catch (error) {
      observed = null;
      failures.push(error);
    }
  };
  const isRecorded = sameRegistry(plan.recorded, registry);
  const kept = keepingTheirUid(intersect(running, target, roleQuotas), running);
  const slow = preparations.filter(({ action }) => action !== 'create');
  const meanwhile = without(slow.map(adoptionGoesOn), target, kept);
  const taken = takeAway(world, {
    ...{ kept: changes.every(isGain) ? null : kept, connected: meanwhile },
    ...{ observed, owners: registry.uids },
  });
  observed = taken.observed;
  failures.push(...taken.failures);

  const unrecorded = isRecorded ? [] : record(world, registry);
  // If numbers were written that are not on record, the next pass would think that somebody else wrote them.
  const owners = unrecorded.length === 0 ? registry.uids : plan.recorded.uids;
  // A number that is not on record must not be given. A folder that is right has its number on the disk.
  const waits = unrecorded.length === 0 ? [] : preparations.filter(({ action }) => !action.startsWith('repair-'));
  const ready = preparations.filter((each) => !waits.includes(each));
  const early = [...unrecorded, ...waits.map(waitsForRecord)];
  const [first, then] = [ready.filter((each) => !slow.includes(each)), ready.filter((each) => slow.includes(each))];
  const made = await world.prepareRepositories(first, signal);
  // Nobody waits for the folder of another account.
  if (then.length > 0) give(without([...early, ...made], meanwhile, kept));
  const findings = [...early, ...made, ...(then.length > 0 ? await world.prepareRepositories(then, signal) : [])];
  const closed = new Set(findings.map(({ file }) => file));
  const granted = without(findings, target, kept);
  if (changes.length > 0 || !isRecorded) give(granted);
  if (closed.size > 0 || slow.length > 0) world.onAccess(granted);
  const told = (change: Change): boolean => !closed.has(`/repos/${change.account}`);
  const goesOn = ({ account }: Change): boolean => accountNamed(granted, account) !== undefined;
  const planned = [
    ...changes.filter((change) => told(change) || (isLoss(change) && !goesOn(change))),
    ...diffStates(running, granted).filter((change) => !told(change) && goesOn(change)),
    ...[...running.values()].filter(({ name }) => target.has(name) && !granted.has(name)).map(closing),
  ];
  const done = whatIsSo(world, { running, target: granted, planned, owners }, { observed, failures });
  return { ...done, granted, findings, observed: findings.length === 0 ? observed : null };
};

/**
 * What is granted where these folders are not ready: their accounts get nothing. But an account whose preparation still runs keeps
 * what it had before, so that a repair costs nobody a running backup.
 */
const without = (findings: readonly Finding[], target: State, kept: State): State => {
  const codes = new Map(findings.map(({ file, code }) => [file, code]));
  return new Map(
    [...target].flatMap(([name, account]) => {
      const code = codes.get(`/repos/${name}`);
      const granted =
        code === undefined || code === 'foreign-owners'
          ? account
          : code === 'adoption-interrupted'
            ? kept.get(name)
            : undefined;
      return granted ? [[name, granted]] : [];
    }),
  );
};

const closing = ({ name, role }: Account): Change => ({
  ...{ kind: 'account-removed', account: name, role },
  reason: 'its repository could not be made ready, as the finding says; it is closed until it is',
});

/** What was done although the account's folder could not be prepared. A change that is announced and not done would be reported in every pass. */
const isLoss = ({ kind }: Change): boolean => kind === 'account-removed' || kind === 'key-removed';

/** What takes nothing from anybody, and needs no repair before it is given. */
const isGain = ({ kind }: Change): boolean =>
  kind === 'account-added' || kind === 'key-added' || kind === 'repository-created';

/** A full disk of the repositories must not shut out anybody except new accounts: what fails is a finding. */
const record = (world: PassWorld, registry: Registry): readonly Finding[] => {
  try {
    world.writeRegistry(registry);
    return [];
  } catch (error) {
    return [
      errorAt(
        '/repos/.borgserver/identities.json',
        'repository-failed',
        `the record of uids could not be written: ${failureInOneLine(error)}; no new account is opened`,
        'see that /repos has space and is writable; the next update tries again',
      ),
    ];
  }
};

const waitsForRecord = ({ name }: Preparation): Finding =>
  errorAt(
    `/repos/${name}`,
    'repository-failed',
    'its uid could not be put on record; the account is closed',
    'see that /repos has space and is writable; the next update tries again',
  );

/** An account whose uid changes is taken away first and then given again. So the two uids are never mixed. */
const keepingTheirUid = (state: State, running: State): State =>
  new Map([...state].filter(([name, account]) => running.get(name)?.uid === account.uid));

const sameRegistry = (a: Registry, b: Registry): boolean => JSON.stringify(a) === JSON.stringify(b);
