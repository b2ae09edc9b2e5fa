import type { Verdict } from './cells.ts';

/** How the server says no. An attempt that fails without one of these answers has failed for a reason of its own. */
const REFUSALS =
  /Permission denied \(publickey\)|Repository path not allowed|PathNotAllowed|This account is for BorgBackup only/;

/**
 * The verdict of an attempt: allowed if its effect is there, refused if it is not and the server has said so.
 *
 * @param effect what the attempt was made for, as found afterwards: bytes read, a file that is there
 * @param said all that the client was told
 * @param refusal how this very attempt is refused, besides the general ways
 * @throws Error if neither is the case, with what was said
 */
export const judge = (effect: boolean, said: string, refusal?: RegExp): Verdict => {
  if (effect) return 'allowed';
  if (REFUSALS.test(said) || refusal?.test(said)) return 'refused';
  throw new Error(`neither came through nor was refused; what was said: ${JSON.stringify(said)}`);
};

/**
 * The verdict of several attempts that must all end in the same way.
 *
 * @throws Error that names those that ended differently
 */
export const agree = (verdicts: Readonly<Record<string, Verdict>>): Verdict => {
  const [first, ...others] = Object.values(verdicts);
  if (first === undefined || others.some((other) => other !== first)) {
    throw new Error(`different verdicts: ${JSON.stringify(verdicts)}`);
  }
  return first;
};

/** An allowed attempt on the actor's own repository is a right: `own only` for a tenant, `allowed` for an actor who may do it everywhere. */
export const ofOwn = (verdict: Verdict, column: string): Verdict =>
  verdict === 'allowed' && column !== 'admin' && column !== 'control' ? 'own only' : verdict;
