import { noBoxText } from '../borg/launcher-check.ts';
import { quoted } from '../borg/serve-arguments.ts';
import type { ServerStatus } from '../control/server-status.ts';
import { sessionHostText } from '../doctor/diagnose-session-host.ts';
import { SHARED_IDENTITIES } from '../start/repositories-folder.ts';
import type { DiskSpace } from '../survey/disk-spaces.ts';
import { ago, renderDuration } from '../text/duration.ts';
import { plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { renderBytes, sizeText } from '../text/size.ts';
import type { Colour, Paint } from './colours.ts';
import type { Mark, MarkCode } from './mark.ts';
import type { RepositoryRow } from './repository-rows.ts';
import { renderTable } from './table.ts';

export type Status = {
  readonly server: ServerStatus | null;
  /** Why /repos is not what it was, printable. Null: it is. */
  readonly vanished: string | null;
  /** That of /repos first. */
  readonly disks: readonly DiskSpace[];
  readonly repositories: readonly RepositoryRow[];
};

/** One screen: the server, then a line for each repository, then what is stale. Times are counted up to `now`, milliseconds. */
export const statusText = (status: Status, now: number, paint: Paint, width?: number): string =>
  [
    ...serverLines(status, now, paint),
    '',
    ...tableLines(status.repositories, now, paint, width),
    '',
    tally(status),
  ].join('\n');

/** The disk of /repos. */
export const spaceOf = ({ disks }: Pick<Status, 'disks'>): { readonly free: number; readonly total: number } => {
  const { free, total } = disks[0] ?? { free: 0, total: 0 };
  return { free, total };
};

const diskLine = ({ path, free, floor, need, state, readOnly }: DiskSpace, paint: Paint): readonly string[] => {
  if (readOnly)
    return [
      paint(
        `${printable(path)} is READ-ONLY, as after a disk error: no backup can be made; see borgserver doctor`,
        'red',
      ),
    ];
  const place = `${printable(path)}: ${renderBytes(free)} free`;
  switch (state) {
    case 'below':
      return [paint(`${place}, less than ${renderBytes(floor)} (MIN_FREE): new data are REFUSED; make room`, 'red')];
    case 'short':
      return [
        paint(`${place}, less than the ${renderBytes(need)} that compact needs: make room, and raise MIN_FREE`, 'red'),
      ];
    case 'no-inodes':
      return [paint(`${place}, but no more files can be made: nobody gets a lock; move other data away`, 'red')];
    case 'near':
      return [paint(`${place}; below ${renderBytes(floor)} (MIN_FREE) new data are refused`, 'yellow')];
    case 'enough':
      return [];
  }
};

const serverLines = (status: Status, now: number, paint: Paint): readonly string[] => {
  const { server, disks } = status;
  const vanished =
    status.vanished === null ? [] : [paint(`VANISHED, not new: ${status.vanished}; doctor tells more`, 'red')];
  const space = spaceOf(status);
  const free = `${renderBytes(space.free)} of ${renderBytes(space.total)} free`;
  if (!server)
    return [
      paint('no server runs here: accounts and keys are unknown', 'yellow'),
      `repositories: ${free}`,
      ...vanished,
      ...disks.flatMap((disk) => diskLine(disk, paint)),
    ];
  const { version, borg, openssh, since, port, lastPass, sessions, findings, accounts, identities } = server;
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const hostText = sessionHostText(server.sessionHost);
  const admins = accounts.filter(({ role }) => role === 'admin');
  return [
    `borgserver ${version}, borg ${borg}, ${openssh}; on port ${port}, started ${ago(since, now)}`,
    ...(lastPass ? [passLine(lastPass, now, paint)] : []),
    `repositories: ${free}; ${plural(sessions, 'session')} now`,
    ...vanished,
    ...disks.flatMap((disk) => diskLine(disk, paint)),
    ...snapshotLines(server.snapshots, disks, paint),
    ...(server.box === null ? [] : [paint(noBoxText(server.box), 'yellow')]),
    ...(hostText === null ? [] : [paint(hostText, 'yellow')]),
    ...(identities === 'shared' ? [paint(SHARED_IDENTITIES, 'yellow')] : []),
    ...(admins.length > 0
      ? [`admins: ${admins.map(({ name, keys }) => `${name} (${plural(keys, 'key')})`).join(', ')}`]
      : []),
    ...(findings.length > 0
      ? [
          paint(
            `${plural(findings.length, 'finding')} open, ${plural(errors, 'error')} among them: update-borgusers shows them`,
            errors > 0 ? 'red' : 'yellow',
          ),
        ]
      : []),
  ];
};

/** What the snapshots hold; and where a disk is nearly full, what can be removed. */
const snapshotLines = (
  snapshots: ServerStatus['snapshots'],
  disks: Status['disks'],
  paint: Paint,
): readonly string[] => {
  const kept = snapshots.filter(({ count }) => count > 0);
  const [count, held] = [sumOf(kept, (each) => each.count), sumOf(kept, (each) => each.olderHold)];
  if (count === 0) return [];
  const of = plural(kept.length, 'repository', 'repositories');
  const line = `snapshots: ${count} of ${of}${held > 0 ? `; the older ones hold ${renderBytes(held)}` : ''}`;
  const [most] = kept.toSorted((one, other) => other.olderHold - one.olderHold);
  const isTight = disks[0]?.state !== 'enough';
  if (!isTight || !most || most.olderHold === 0) return [line];
  const command = `borgserver snapshots ${quoted(most.repository)} --remove older`;
  return [paint(`${line}; to make room, ${renderBytes(most.olderHold)}: ${command}`, 'red')];
};

const sumOf = <T>(all: readonly T[], of: (each: T) => number): number => all.reduce((sum, each) => sum + of(each), 0);

const passLine = (
  { at, took, changes, changed, stopped, failed }: NonNullable<ServerStatus['lastPass']>,
  now: number,
  paint: Paint,
): string => {
  const line = `last update ${ago(at, now)}, took ${Math.round(took)} ms, ${plural(changes, 'change')}`;
  if (failed !== null) return paint(`${line}; it FAILED: ${failed}`, 'red');
  if (stopped) return paint(`${line}; STOPPED by a conflict`, 'red');
  return changes === 0 && changed !== null ? `${line} (the last one ${ago(changed, now)})` : line;
};

type Column = { readonly title: string; readonly cell: (row: RepositoryRow, now: number) => string };

const worst = (marks: readonly Mark[]): Mark['level'] | null => marks[0]?.level ?? null;
const SIGNS = { error: '!', warning: '*' } as const;

const COLUMNS: readonly Column[] = [
  { title: ' ', cell: ({ marks }) => SIGNS[worst(marks) ?? 'error'].repeat(marks.length > 0 ? 1 : 0) },
  { title: 'REPOSITORY', cell: ({ name }) => name },
  { title: 'ROLE', cell: ({ role }) => role ?? '-' },
  { title: 'KEYS', cell: ({ keys }) => (keys === null ? '-' : String(keys)) },
  { title: 'SIZE', cell: ({ bytes, objects }) => (bytes === null && objects === null ? '-' : renderBytes(bytes)) },
  { title: 'QUOTA', cell: (row) => quotaCell(row) },
  { title: 'LAST BACKUP', cell: (row, now) => backupCell(row, now) },
  { title: 'LOCKED', cell: ({ locks }, now) => lockCell(locks, now) },
  { title: 'STATE', cell: ({ marks }) => marks.map(({ text }) => text).join('; ') || 'ok' },
];

const backupCell = ({ lastBackup, marks }: RepositoryRow, now: number): string => {
  if (lastBackup !== null) return ago(lastBackup, now);
  return marks.some(({ code }) => code === 'backup-unknown') ? 'unknown' : 'never';
};

const quotaCell = ({ quota, bytes }: RepositoryRow): string => {
  if (quota === null) return '-';
  return bytes === null ? sizeText(quota) : `${Math.floor((100 * bytes) / quota)}% of ${sizeText(quota)}`;
};

const lockCell = (locks: RepositoryRow['locks'], now: number): string => {
  const [first] = locks;
  if (!first) return '-';
  const others = locks.length > 1 ? ` and ${locks.length - 1} more` : '';
  return `by ${first.by}, ${renderDuration(Math.max(0, now - first.since) / 1000)}${others}`;
};

/** The columns that are dropped on a narrow terminal, in this order, until the rest fits. */
const DISPENSABLE = ['KEYS', 'ROLE', 'LOCKED', 'QUOTA', 'SIZE'];

const tableLines = (
  rows: readonly RepositoryRow[],
  now: number,
  paint: Paint,
  width: number | undefined,
): readonly string[] => {
  if (rows.length === 0) return ['There is no repository.'];
  const unused = (title: string): boolean => title === 'LOCKED' && rows.every(({ locks }) => locks.length === 0);
  let columns = COLUMNS.filter(({ title }) => !unused(title));
  const render = (limit?: number): readonly string[] =>
    renderTable(
      columns.map(({ title }) => title),
      rows.map((row) => columns.map(({ cell }) => cell(row, now))),
      limit,
    ).split('\n');
  for (const title of DISPENSABLE) {
    if (width === undefined || Math.max(...render().map((line) => [...line].length)) <= width) break;
    columns = columns.filter((column) => column.title !== title);
  }
  const [head = '', ...lines] = render(width);
  return [head, ...lines.map((line, index) => paint(line, colourOf(rows[index]?.marks ?? [])))];
};

const colourOf = (marks: readonly Mark[]): Colour => {
  switch (worst(marks)) {
    case 'error':
      return 'red';
    case 'warning':
      return 'yellow';
    case null:
      return 'plain';
  }
};

const tally = ({ repositories }: Status): string => {
  const stale = staleNames(repositories);
  const right = repositories.filter(({ marks }) => marks.length === 0).length;
  const count = plural(repositories.length, 'repository', 'repositories');
  return `${count}, ${right} all right; ${stale.length === 0 ? 'none stale' : `${stale.length} STALE: ${stale.join(', ')}`}`;
};

/** The repositories without a backup for longer than the limit. */
export const staleNames = (rows: readonly RepositoryRow[]): readonly string[] =>
  rows.filter(({ marks }) => marks.some(({ code }) => code === 'stale')).map(({ name }) => name);

const ALARMING: ReadonlySet<MarkCode> = new Set(['stale', 'failed', 'lost', 'unreadable', 'foreign-owners', 'damaged']);

/**
 * Whether it must make a monitoring check fail: no backup comes, the last one failed through the server's fault, the repository is gone, or
 * nobody knows.
 */
export const raisesAlarm = ({ marks }: Pick<RepositoryRow, 'marks'>): boolean =>
  marks.some(({ code, level }) => ALARMING.has(code) || (code === 'no-snapshot' && level === 'error'));
