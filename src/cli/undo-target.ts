import { quoted } from '../borg/serve-arguments.ts';
import { readAbout } from '../snapshots/about.ts';
import { lackingIn } from '../snapshots/compare.ts';
import { NAMED_BY, snapshotNamed } from '../snapshots/named.ts';
import type { Snapshot } from '../snapshots/store.ts';
import { type Target, targetOfSnapshot, targetOfTransaction } from '../snapshots/target.ts';
import { lookAtTransaction } from '../snapshots/transactions.ts';
import { printable } from '../text/printable.ts';
import { Refused, type UndoWork } from './put-back.ts';
import type { Preview } from './undo-text.ts';

type Found = { readonly target: Target } & Pick<Preview, 'comesBack' | 'goes'>;

/**
 * What `--to` and `--to-transaction` mean, and what comes back and goes with it.
 *
 * @param all the snapshots, the oldest first
 * @param present that of the present state. Null: it has none, and `notKept` says why
 * @throws Refused
 */
export const findTarget = async (
  { source: { path }, python, options }: UndoWork,
  all: readonly Snapshot[],
  present: Snapshot | null,
  notKept: string | null,
): Promise<Found> => {
  const { to, toTransaction } = options;
  const shown = `\`borgserver snapshots ${quoted(path)}\``;
  if (toTransaction === undefined) {
    const snapshot = chosen(all, present, to, path, `${shown} lists them`);
    return {
      target: targetOfSnapshot(snapshot),
      comesBack: present && lackingIn(snapshot, present),
      goes: present && lackingIn(present, snapshot),
    };
  }
  if (present === null)
    throw new Refused(
      `the present state has no snapshot (${notKept}), and its transactions are taken from that; ${shown} lists what there is`,
    );
  const number = Number(toTransaction);
  const found = await lookAtTransaction(python, present, number);
  if ('code' in found)
    throw new Refused(`${printable(path)}, transaction ${number}: ${found.why}; ${elseText(found.code, path)}`);
  return { target: targetOfTransaction(present, number, found), comesBack: null, goes: found.goes };
};

const elseText = (code: string, path: string): string =>
  code === 'compacted'
    ? `\`borgserver snapshots ${quoted(path)}\` shows what else there is`
    : `\`borgserver history ${quoted(path)} --transactions\` lists them`;

/** @throws Refused where the words cannot be meant */
export const refuseWords = ({ to, toTransaction }: UndoWork['options'], name: string): void => {
  if (toTransaction === undefined) return;
  if (to !== undefined) throw new Refused('--to and --to-transaction exclude each other');
  if (!/^\d{1,10}$/.test(toTransaction))
    throw new Refused(
      `--to-transaction takes the number of a transaction; \`borgserver history ${printable(quoted(name))} --transactions\` lists them`,
    );
};

const chosen = (
  all: readonly Snapshot[],
  present: Snapshot | null,
  to: string | undefined,
  path: string,
  shown: string,
): Snapshot => {
  const found = to === undefined ? all.filter((each) => each !== present).at(-1) : snapshotNamed(all, to);
  if (found === 'misread') throw new Refused(`--to takes ${NAMED_BY}; ${shown}`);
  if (!found) throw new Refused(`${printable(path)} has no such snapshot; ${shown}`);
  if (to === undefined && readAbout(found)?.spared)
    throw new Refused(
      `the state before the present one is what the last undo has replaced: say which with --to; ${shown}`,
    );
  if (found === present) throw new Refused(`snapshot ${found.number} is the present state; ${shown}`);
  return found;
};
