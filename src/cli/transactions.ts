import { findBorg } from '../borg/interpreter.ts';
import { quoted } from '../borg/serve-arguments.ts';
import { askServer } from '../control/client.ts';
import type { Places } from '../places.ts';
import { listSnapshots, type Snapshot } from '../snapshots/store.ts';
import { listTransactions, type Transactions } from '../snapshots/transactions.ts';
import { ago, timeText } from '../text/duration.ts';
import { plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { renderTable } from './table.ts';

type Options = { readonly json: boolean /** Infinity: all. */; readonly most: number };

/**
 * `borgserver history NAME --transactions`: to which transactions an append-only repository can go back. They are read from its newest snapshot, which
 * is that of its present state if a server runs here and can keep it.
 *
 * @param path of the repository, below /repos
 * @param folder of its snapshots
 * @returns the exit code: 0, or 2 where it was refused
 */
export const runTransactions = async (
  places: Places,
  path: string,
  folder: string,
  { json, most }: Options,
): Promise<number> => {
  await askServer(places.run, { command: 'keep', repository: path, when: 'now' });
  const snapshot = listSnapshots(folder).at(-1);
  if (snapshot === undefined) return refuse(path, 'there is no snapshot of it');
  const found = await listTransactions(findBorg().python, snapshot, most);
  if ('code' in found) return refuse(path, `${found.why} (snapshot ${snapshot.number})`);
  if (json) console.log(JSON.stringify(found.found));
  else console.log(transactionsText(path, snapshot, found, Date.now()));
  return 0;
};

const refuse = (path: string, why: string): number => {
  console.error(`borgserver: ${printable(path)}: ${why}`);
  return 2;
};

/** The newest first. `now`: milliseconds since the epoch. */
export const transactionsText = (
  path: string,
  { number, at: taken }: Pick<Snapshot, 'number' | 'at'>,
  { found, count }: Transactions,
  now: number,
): string => {
  const rows = found.map(({ transaction, at, snapshots, whole }) => [
    String(transaction),
    timeText(at),
    ago(at, now),
    snapshots.length > 0 ? `snapshot ${snapshots.join(', ')}` : whole ? '' : 'compacted since',
  ]);
  const more = count - found.length;
  return [
    `As snapshot ${number} has it, ${ago(taken, now)}:`,
    renderTable(['TRANSACTION', 'TIME', '', ''], rows),
    ...(more > 0 ? [`… and ${plural(more, 'older transaction')}: --all`] : []),
    '',
    `To go back to one: borgserver undo ${quoted(path)} --to-transaction NUMBER`,
  ].join('\n');
};
