import { quoted } from '../borg/serve-arguments.ts';
import type { Described } from '../snapshots/compare.ts';
import { type Target, targetName } from '../snapshots/target.ts';
import { ago, timeText } from '../text/duration.ts';
import { plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { renderBytes } from '../text/size.ts';
import { renderTable } from './table.ts';

type Amount = { readonly segments: number; readonly bytes: number };

export type Preview = {
  readonly path: string;
  readonly to: Omit<Target, 'snapshot'>;
  /** Null: the present state has no snapshot. */
  readonly present: Described | null;
  /** The present key and id, also where there is no snapshot. */
  readonly live: Pick<Described, 'id' | 'key'> | null;
  /** Why it has none. */
  readonly notKept: string | null;
  readonly comesBack: Amount | null;
  readonly goes: Amount | null;
  readonly keepKey: boolean;
};

/** What an undo would do, before anybody says yes. `now`: milliseconds since the epoch. */
export const previewText = (
  { path, to, present, live, notKept, comesBack, goes, keepKey }: Preview,
  now: number,
): string => {
  const columns = [to.described, ...(present ? [present] : [])];
  const row = (name: string, cell: (each: Described) => string): string[] => [name, ...columns.map(cell)];
  const rows = [
    row(to.transaction === null ? 'taken' : 'time', ({ at }) =>
      at === null ? '-' : `${timeText(at)}, ${ago(at, now)}`,
    ),
    row('size', ({ bytes }) => (bytes === null ? '-' : renderBytes(bytes))),
    row('objects', ({ objects }) => (objects === null ? '-' : String(objects))),
    row('transaction', ({ transaction }) => (transaction === null ? '-' : String(transaction))),
  ];
  const head = [
    printable(path),
    targetName(to).toUpperCase(),
    ...(present ? [`PRESENT (SNAPSHOT ${present.number})`] : []),
  ];
  return [
    renderTable(head, rows),
    '',
    ...(comesBack ? [`Comes back: ${amountText(comesBack)} that the present state does not have.`] : []),
    ...(to.transaction === null
      ? []
      : ['Comes back: what was deleted, replaced or pruned since. All of its segments are still there.']),
    ...(goes && present
      ? [`Goes:       ${amountText(goes)}; it stays in snapshot ${present.number}, which brings it back.`]
      : []),
    ...(notKept === null
      ? []
      : [
          `The present state has no snapshot (${notKept}). It will be put aside as a folder, and nothing of it is lost.`,
        ]),
    ...keyText(to, live, keepKey),
  ].join('\n');
};

const amountText = ({ segments, bytes }: Amount): string =>
  segments === 0 ? 'nothing' : `${renderBytes(bytes)} in ${plural(segments, 'segment')}`;

const keyText = (
  { described: { key }, transaction }: Preview['to'],
  live: Preview['live'],
  keepKey: boolean,
): string[] => {
  if (transaction !== null)
    return ['The key stays as it is now: no transaction has it. Whether it was replaced says borgserver doctor.'];
  if (!live || key === live.key) return [];
  if (keepKey) return ['The present key stays, with its passphrase. Without --keep-key the former one comes back.'];
  return [
    'The key comes back, too, with its passphrase. Only if the present one was made by its owner: add --keep-key.',
  ];
};

/** What was done, and what has to be done at the clients. */
export const doneText = (
  path: string,
  to: Omit<Target, 'snapshot'>,
  { former, folder, isChecked }: { former: number | null; folder: string | null; isChecked: boolean },
  now: number,
): string => {
  const { id, at } = to.described;
  return [
    `${printable(path)} is as it was ${at === null ? `at ${targetName(to)}` : `${ago(at, now)} (${targetName(to)})`}.`,
    ...(to.transaction === null || isChecked
      ? []
      : ['It has no index yet. The next session makes it, and reads every byte for that.']),
    ...(former === null
      ? []
      : [
          `What was there until now is snapshot ${former}. To get it back: borgserver undo ${quoted(path)} --to ${former}`,
        ]),
    ...folderText(former, folder),
    '',
    "A client that has seen the newer state refuses this one, an admin's too. There, as its user, remove its cache and one file:",
    '',
    '  borg delete --cache-only REPOSITORY',
    `  rm ~/.config/borg/security/${id ?? 'ID'}/manifest-timestamp`,
    '',
    'Leave the file nonce beside it: without it, a counter of the encryption could be used twice.',
    'If a thief did this, remove his key file before a client goes on.',
  ].join('\n');
};

const folderText = (former: number | null, folder: string | null): string[] => {
  if (folder === null) return [];
  return former === null
    ? [`What was there until now is in ${folder}: look at it before you remove it.`]
    : [`More than that snapshot has of it is in ${folder}: look at it before you remove it.`];
};
