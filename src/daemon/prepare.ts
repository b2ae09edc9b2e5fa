import type { Preparation } from '../accounts/desired.ts';
import type { Finding } from '../accounts/finding.ts';
import { prepareRepository } from '../repositories/ownership.ts';
import { describeError } from './describe-error.ts';

/** How far the preparing of repository folders is: `done` folders of `total`, and in the next one so many files and folders. */
export type Preparing = {
  readonly account: string;
  readonly entries: number;
  readonly done: number;
  readonly total: number;
};

/**
 * Prepares folder after folder; one that fails is a finding, closes its account, and the others go on. When the signal
 * comes (another pass wants to begin, perhaps with a revocation) what is left waits for that pass.
 */
export const prepareRepositories = async (
  repos: string,
  preparations: readonly Preparation[],
  progress: (now: Preparing) => void,
  signal: AbortSignal,
): Promise<readonly Finding[]> => {
  const findings: Finding[] = [];
  for (const [done, preparation] of preparations.entries()) {
    const reached = (account: string, entries: number): void =>
      progress({ account, entries, done, total: preparations.length });
    try {
      signal.throwIfAborted();
      reached(preparation.name, 0);
      await prepareRepository(repos, preparation, reached, signal);
    } catch (error) {
      findings.push(signal.aborted ? adoptionGoesOn(preparation) : failed(preparation, error));
    }
  }
  return findings;
};

/** Of a folder that is not ready yet. */
export const adoptionGoesOn = ({ name }: Preparation): Finding => ({
  severity: 'warning',
  code: 'adoption-interrupted',
  file: `/repos/${name}`,
  line: null,
  message: 'its preparation was interrupted by a newer update; what the account did not have before waits for it',
  remedy: 'nothing: the newer update goes on with it',
});

const failed = ({ name, action }: Preparation, error: unknown): Finding => {
  const verb = { create: 'made', adopt: 'handed over to its account', 'repair-mode': 'repaired' }[action];
  return {
    severity: 'error',
    code: 'repository-failed',
    file: `/repos/${name}`,
    line: null,
    message: `the folder could not be ${verb}: ${describeError(error)}; the account is closed`,
    remedy: 'see that /repos has space, is writable and can change owners; the next update tries again',
  };
};
