import { quoted } from '../borg/serve-arguments.ts';
import { askServer } from '../control/client.ts';
import type { Places } from '../places.ts';
import { MARK_TEXTS } from '../snapshots/change-marks.ts';
import { type ChangeRecord, readRecords, readSeen, type Writer } from '../snapshots/change-record.ts';
import type { History } from '../snapshots/kept-states.ts';
import { snapshotsOf } from '../snapshots/store.ts';
import { ago, timeText } from '../text/duration.ts';
import { plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { renderBytes } from '../text/size.ts';
import { repositoryNamed } from './repository-name.ts';
import { runTransactions } from './transactions.ts';

export type HistoryOptions = {
  readonly json: boolean;
  readonly seen: boolean;
  readonly all: boolean;
  readonly transactions: boolean;
};

/** So many are shown: the rest would push the newest off the screen. */
const SHOWN = 20;

/**
 * `borgserver history NAME`: what has happened to a repository, from one snapshot to the next. Without a server it shows what was written down.
 *
 * @returns the exit code: 0; 1 where something looks like an attack, and nobody has looked at it; 2 where it was refused
 */
export const runHistory = async (places: Places, name: string, options: HistoryOptions): Promise<number> => {
  const path = repositoryNamed(name);
  const folder = path === null ? null : snapshotsOf(places.state, path);
  if (path === null || folder === null) return refuse(`'${printable(name)}' is no repository`);
  const most = options.all ? Infinity : SHOWN;
  if (options.transactions)
    return options.seen
      ? refuse('--seen does not go with --transactions')
      : runTransactions(places, path, folder, { json: options.json, most });
  const told = await askServer(places.run, { command: 'history', repository: path, seen: options.seen });
  if (told === null && options.seen) return refuse('no server runs here: it remembers what was seen');
  const history = told ?? {
    records: readRecords(folder).toReversed(),
    seen: readSeen(folder),
    notKept: null,
    acknowledged: 0,
  };
  if (options.json) console.log(JSON.stringify(history.records));
  else console.log(historyText(path, history, { now: Date.now(), most }));
  const { seen, notKept, records, acknowledged } = history;
  if (notKept !== null)
    console.error(`borgserver: ${printable(path)}: its present state is not in it: ${printable(notKept.why, 300)}`);
  if (!options.seen) return records.some((record) => isUnseen(record, seen)) ? 1 : 0;
  if (!records.some((record) => isUnseen(record, acknowledged))) return 0;
  console.error(
    'borgserver: some of this has just been found, and does not count as seen: look at it, and type the same again',
  );
  return 1;
};

const isUnseen = ({ id, marks }: ChangeRecord, seen: number): boolean => marks.length > 0 && id > seen;

const refuse = (why: string): number => {
  console.error(`borgserver: ${why}`);
  return 2;
};

type Shown = { /** Milliseconds since the epoch. */ readonly now: number; readonly most: number };

/** The newest first. */
export const historyText = (
  path: string,
  { records, seen }: Pick<History, 'records' | 'seen'>,
  { now, most }: Shown,
): string => {
  if (records.length === 0) return `Nothing is known of ${printable(path)}: no snapshot of it was taken.`;
  const unseen = records.filter((record) => isUnseen(record, seen));
  // What came before the oldest of them.
  const good = unseen.at(-1)?.before ?? null;
  const more = records.length - most;
  return [
    ...records.slice(0, most).flatMap((record) => [...recordLines(record, seen, now), '']),
    ...(more > 0 ? [`… and ${plural(more, 'older change')}: --all`, ''] : []),
    ...(unseen.length > 0
      ? [
          'What is marked with ! looks like an attack. An honest client may have done it: ask its owner.',
          `If nobody did: move the key file away, and put back what was there before: borgserver undo ${quoted(path)}${good === null ? '' : ` --to ${good}`}`,
          `If it is all right: borgserver history ${quoted(path)} --seen`,
        ]
      : []),
  ]
    .join('\n')
    .trimEnd();
};

const recordLines = (record: ChangeRecord, seen: number, now: number): readonly string[] => {
  const { id, snapshot, before, at, by, objects, counted, unknown, marks } = record;
  const what = snapshot === null ? `after snapshot ${before}` : `snapshot ${snapshot}`;
  const from = before === null ? 'the first one' : `since snapshot ${before}`;
  return [
    `${what}  ${timeText(at)}, ${ago(at, now)}${snapshot === null ? '' : ` (${from})`}`,
    ...(before === null ? [] : [`    by ${by.length === 0 ? 'nobody who is known' : by.map(writerText).join('; ')}`]),
    ...(objects ? [`    ${countedText(objects, counted)}`] : []),
    ...(unknown === null ? [] : [`    not all could be counted: ${UNKNOWN[unknown] ?? printable(unknown, 200)}`]),
    ...marks.map((each) => `  ${id > seen ? '!' : 'seen:'} ${MARK_TEXTS[each]}`),
  ];
};

const UNKNOWN: Readonly<Record<string, string>> = {
  nothing: 'nothing is committed',
  'before-nothing': 'nothing had been committed before',
  'no-index': 'there was no index',
  'before-no-index': 'there was no index before',
  'before-index': 'the index before is not as borg writes it',
  index: 'the index is not as borg writes it',
  segment: 'a segment is not as borg writes it',
  'too-much': 'there is too much of it',
};

const writerText = (writer: Writer): string =>
  writer.kind === 'server'
    ? `this server (${printable(writer.what, 200)})`
    : `${writer.account}${writer.comment === '' ? '' : ` (${printable(writer.comment, 80)})`} from ${writer.from}`;

const countedText = (
  { before, after }: NonNullable<ChangeRecord['objects']>,
  counted: ChangeRecord['counted'],
): string => {
  const size = (bytes: number | null): string => (bytes === null ? '' : ` (${renderBytes(bytes)})`);
  if (!counted) return `${before} to ${plural(after, 'object')}`;
  const { added, deleted, replaced, compacted } = counted;
  return [
    `${before} to ${plural(after, 'object')}`,
    ...(added.objects > 0 ? [`added ${added.objects}${size(added.bytes)}`] : []),
    ...(deleted.objects > 0 ? [`deleted ${deleted.objects} of those before${size(deleted.bytes)}`] : []),
    ...(replaced.objects > 0 ? [`overwrote ${replaced.objects}`] : []),
    ...(compacted.segments > 0 ? [`compacted ${plural(compacted.segments, 'segment')}${size(compacted.bytes)}`] : []),
  ].join('; ');
};
