import { setTimeout } from 'node:timers/promises';
import type { Preparation } from '../accounts/desired.ts';
import { errorAt, type Finding, warningAt } from '../accounts/finding.ts';
import { notHandedOver } from '../accounts/foreign-files.ts';
import { failureInOneLine } from '../failure.ts';
import { prepareRepository } from '../repositories/ownership.ts';

/** The progress in preparing repository folders: `done` folders of `total`, and so many files and folders in the next one. */
export type Preparing = {
  readonly account: string;
  readonly entries: number;
  readonly done: number;
  readonly total: number;
};

/** Does `work` while no snapshot is taken in the folder of this account. */
export type Without = <T>(account: string, signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

/** After so long the next folder is begun as well. */
const PATIENCE_MS = 20_000;
/** Each one has a process of its own, and holds some files open. */
const MOST_AT_ONCE = 16;

/**
 * Prepares folder after folder. One that fails is a finding and closes its account, and the others go on. One that takes long, because
 * its owner has filled it or goes on doing so, continues beside the next ones. When the signal comes (another pass wants to begin,
 * perhaps with a revocation), the rest waits for that pass.
 *
 * @param patience milliseconds after which the next one no longer waits
 * @param without keeps others who change owners and modes away meanwhile
 * @returns the findings in the order of the preparations
 */
export const prepareRepositories = async (
  repos: string,
  preparations: readonly Preparation[],
  progress: (now: Preparing) => void,
  signal: AbortSignal,
  patience = PATIENCE_MS,
  without: Without = (_name, _signal, work) => work(),
): Promise<readonly Finding[]> => {
  const findings = new Map<Preparation, Finding>();
  const inWork = new Set<Promise<void>>();
  let done = 0;
  const reached = (account: string, entries: number): void =>
    progress({ account, entries, done, total: preparations.length });
  const prepare = async (preparation: Preparation): Promise<void> => {
    try {
      signal.throwIfAborted();
      reached(preparation.name, 0);
      const prepareIt = (): Promise<void> => prepareRepository(repos, preparation, reached, signal);
      await (preparation.action === 'create' ? prepareIt() : without(preparation.name, signal, prepareIt));
    } catch (error) {
      findings.set(preparation, signal.aborted ? adoptionGoesOn(preparation) : failed(preparation, error));
    }
    done += 1;
  };
  for (const preparation of preparations) {
    const work: Promise<void> = prepare(preparation).finally(() => inWork.delete(work));
    inWork.add(work);
    await within(patience, work);
    if (inWork.size >= MOST_AT_ONCE) await Promise.race(inWork);
  }
  await Promise.all(inWork);
  return preparations.flatMap((each) => findings.get(each) ?? []);
};

/** Until it is done, or this time is over. */
const within = async (milliseconds: number, work: Promise<void>): Promise<void> => {
  const over = new AbortController();
  await Promise.race([work, setTimeout(milliseconds, undefined, { signal: over.signal }).catch(() => {})]);
  over.abort();
};

/** A finding for a folder that is not ready yet. */
export const adoptionGoesOn = ({ name }: Preparation): Finding =>
  warningAt(
    `/repos/${name}`,
    'adoption-interrupted',
    'its preparation was interrupted by a newer update; what the account did not have before waits for it',
    'nothing: the newer update goes on with it',
  );

const failed = ({ name, action }: Preparation, error: unknown): Finding => {
  if (action === 'repair-owners') return notHandedOver(name, failureInOneLine(error));
  const verb = { create: 'made', adopt: 'handed over to its account', 'repair-mode': 'repaired' }[action];
  return errorAt(
    `/repos/${name}`,
    'repository-failed',
    `the folder could not be ${verb}: ${failureInOneLine(error)}; the account is closed`,
    'see that /repos has space, is writable and can change owners; the next update tries again',
  );
};
