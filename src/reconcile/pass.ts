import type { State } from '../accounts/account.ts';
import type { AuthorizedKey } from '../accounts/authorized-key.ts';
import { type Circumstances, type Desired, desire, stillDeclared } from '../accounts/desired.ts';
import { type Change, diffStates, preparationChange } from '../accounts/diff.ts';
import { type Directives, directivesOf } from '../accounts/directives.ts';
import { compareFindings, type Finding } from '../accounts/finding.ts';
import { intersect } from '../accounts/narrow.ts';
import type { Role } from '../accounts/role.ts';
import { type Waiting, type Withheld, withholdLosses } from '../accounts/stillness.ts';
import { drift, type Observed, runningState } from '../host/machine.ts';
import { apply } from './apply.ts';
import { withRecheck } from './failed-pass.ts';
import type { PassWorld } from './pass-world.ts';
import { type Remembered, remember, takeOverdue } from './remembered.ts';
import { asOne, type Done, failureOf, takeAway, whatIsSo } from './take-away.ts';

export type PassRequest = {
  /**
   * 'asked': the caller gets all of it at once. In the other two a loss counts only once its files have been still. An 'event' of the
   * key tree says nothing of the machine, so the machine counts as the last pass left it. What somebody else has done to it is found
   * by the next pass of another kind.
   */
  readonly occasion: 'asked' | 'periodic' | 'event';
  /** The accounts whose files the events named. All, if left out. */
  readonly changed?: ReadonlySet<string>;
  readonly dryRun: boolean;
  /** Names of lost repositories whose loss the caller confirms. */
  readonly confirmed?: ReadonlySet<string>;
};

export type PassReport = {
  readonly changes: readonly Change[];
  readonly findings: readonly Finding[];
  readonly accounts: readonly ({
    readonly name: string;
    readonly role: Role;
    readonly uid: number;
    readonly keys: number;
  } & Directives)[];
  /** A conflict (see STOP_ON) forbade to give anything. What is gone was taken away all the same. */
  readonly stopped: boolean;
  /** Why the pass could not do everything it wanted, or null. */
  readonly failed: string | null;
  /** Milliseconds until a withheld loss may count, or null. */
  readonly recheckIn: number | null;
};

/** Remembers between passes which losses wait until their files are still, and what the last pass left behind. */
export const createPass = (world: PassWorld) => {
  const { machine, settings, roleQuotas } = world;
  let waiting: Waiting = new Map();
  let remembered: Remembered | null = null;
  let untold: readonly Change[] = [];
  /** What ran when the machine was last visible. */
  let seen: State = new Map();
  /** It was changed since then, and could not be read. The changes are reported when it can be read again. */
  let changedUnseen = false;
  /** What ran when the machine was last seen, and what has been given since. */
  let known: State = new Map();
  /** Something failed since then: the files may say more than what was left. What was taken once is not given back by waiting. */
  let troubled = false;

  /** One pass: read what is declared and what is, decide, take away, prepare, give. */
  return async (request: PassRequest, signal: AbortSignal): Promise<PassReport> => {
    // Stillness is counted from one look at a file to the next. Looks at the same file are as far apart as their passes.
    const begun = world.now();
    const before = request.occasion === 'event' ? remembered : null;
    // Until this pass has finished well.
    remembered = null;
    const changed = before && request.changed && new Set([...request.changed, ...waiting.keys()]);
    const declaration = world.readDeclaration(changed ?? undefined);
    const early = before && takeOverdue(world, before, declaration, waiting, begun);
    const last = early?.last ?? null;
    untold = [...untold, ...(early?.changes ?? [])];
    if (early && !early.now) changedUnseen = true;
    const failures: unknown[] = [...(early?.failures ?? [])];
    let observed: Observed | null = last?.observed ?? null;
    // Until the machine is read, what the last pass knew counts: sessions that have lost their right end even where the machine cannot be read.
    let running = last?.running ?? known;
    const stillness = (wanted: State<AuthorizedKey>): Withheld | null =>
      request.occasion !== 'asked'
        ? withholdLosses(
            troubled ? intersect(running, known, roleQuotas) : running,
            wanted,
            declaration,
            waiting,
            begun,
            roleQuotas,
            world.identities?.kind,
          )
        : null;

    let circumstances: ReturnType<typeof readCircumstances>;
    let desired: Desired;
    try {
      observed ??= machine.observe();
      running = last?.running ?? runningState(observed, machine.settings, seen);
      if (changedUnseen) untold = [...untold, ...diffStates(seen, running)];
      [seen, changedUnseen] = [running, false];
      circumstances = readCircumstances(world, last);
      // Inside the try, too: whatever it finds in the work of others and fails at, a revocation does not wait for that.
      desired = desire({
        ...{ ...circumstances, declaration, running, puid: settings.PUID },
        ...{ uidRange: settings.UID_RANGE, stopOn: settings.STOP_ON },
        ...{ ...(world.identities && { identities: world.identities }), confirmed: request.confirmed },
      });
    } catch (error) {
      failures.push(error);
      let recheckIn: number | null = null;
      // Without the owners nothing can be given. What is gone from the keys must still go.
      if (!request.dryRun) {
        const declared = stillDeclared(declaration, running);
        const still = stillness(declared);
        waiting = still?.waiting ?? new Map();
        const kept = intersect(running, still?.accounts ?? declared, roleQuotas);
        // If the machine could not be read, nothing is written to it from memory: only who is connected is known.
        const taken = takeAway(world, observed ? { kept, observed } : { kept: null, connected: kept, observed });
        const plan = { running, target: kept, planned: diffStates(running, kept) };
        const gone: Done = observed ? whatIsSo(world, plan, taken) : { ...taken, changes: [], now: null };
        failures.push(...gone.failures);
        untold = [...untold, ...gone.changes];
        if (observed) changedUnseen = gone.now === null;
        seen = gone.now ?? seen;
        known = kept;
        troubled = true;
        recheckIn = still?.recheckIn ?? null;
      }
      throw withRecheck(asOne(failures), recheckIn);
    }
    const { registry } = circumstances;
    const still = stillness(desired.accounts);
    const wanted = still?.accounts ?? desired.accounts;
    const target = desired.stopped ? intersect(running, wanted, roleQuotas) : wanted;
    const preparations = desired.preparations.filter(({ name }) => target.has(name));
    const changes = [
      ...(last ? [] : drift(observed, running, machine.settings, registry.uids)),
      ...diffStates(running, target),
      ...preparations.map(preparationChange),
    ];
    const recheckIn = still?.recheckIn ?? null;
    const { stopped } = desired;
    const findings = [...desired.findings, ...(world.troubles?.() ?? [])].sort(compareFindings);
    if (request.dryRun) return { changes, stopped, recheckIn, findings, accounts: summary(target), failed: null };
    waiting = still?.waiting ?? new Map();

    const plan = { observed, running, target, changes, preparations, recorded: registry, registry: desired.registry };
    // A loss that waits until its files are still must not wait for a long adoption as well.
    const due = recheckIn === null ? signal : AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(recheckIn) + 1)]);
    const done = await apply(world, plan, due);
    known = done.granted;
    failures.push(...done.failures);
    changedUnseen = done.now === null;
    seen = done.now ?? seen;
    troubled = failures.length > 0;
    if (done.observed) remembered = remember(done.observed, done.granted, desired, preparations, circumstances.folders);
    const told = [...untold, ...done.changes];
    untold = [];
    return {
      ...{ changes: told, stopped, accounts: summary(done.now ?? untouched(running, done.granted)) },
      findings: [...findings, ...done.findings].sort(compareFindings),
      failed: failureOf(failures),
      // The time that the pass itself took must not delay a revocation.
      recheckIn: recheckIn === null ? null : Math.max(0, recheckIn - (world.now() - begun)),
    };
  };
};

const readCircumstances = (
  world: PassWorld,
  last: Remembered | null,
): Pick<Circumstances, 'folders' | 'registry' | 'takenIds'> => ({
  folders: world.scanRepositories(last?.folders),
  registry: last?.registry ?? world.readRegistry(),
  takenIds: world.takenIds(),
});

export type Pass = ReturnType<typeof createPass>;

/**
 * The accounts that were not to change. If something could not be written and nobody can look, only they are certain to be there: a
 * write that fails closes the accounts that it was to change.
 */
const untouched = (running: State, granted: State): State => {
  const changed = new Set(diffStates(running, granted).map(({ account }) => account));
  return new Map([...running].filter(([name]) => !changed.has(name)));
};

const summary = (state: State): PassReport['accounts'] =>
  [...state.values()].map((account) => {
    const { name, role, uid, keys } = account;
    return { name, role, uid, keys: keys.length, ...directivesOf(account) };
  });
