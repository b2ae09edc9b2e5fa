import { quoted } from '../borg/serve-arguments.ts';
import { askServer } from '../control/client.ts';
import type { Places } from '../places.ts';
import { type About, readAbout } from '../snapshots/about.ts';
import type { Asked } from '../snapshots/kept-states.ts';
import { foldersOfSnapshots, listSnapshots, type Snapshot, snapshotsOf } from '../snapshots/store.ts';
import { ago, timeText } from '../text/duration.ts';
import { plural } from '../text/list.ts';
import { printable } from '../text/printable.ts';
import { renderBytes } from '../text/size.ts';
import { repositoryNamed } from './repository-name.ts';
import { renderTable } from './table.ts';

export type SnapshotsOptions = {
  readonly json: boolean;
  readonly take: boolean;
  /** Numbers, `older` or `all`. */
  readonly remove?: readonly string[];
  readonly yes: boolean;
};

/** One snapshot of a repository: an object of the JSON. */
export type ListedSnapshot = {
  readonly repository: string;
  readonly number: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Null: unknown. */
  readonly bytes: number | null;
  readonly transaction: number | null;
  readonly protected: boolean | null;
  /** Of the newest one: bytes on the disk that only the older ones hold. */
  readonly olderHold: number | null;
};

/**
 * `borgserver snapshots [NAME]`: the states of repositories that the server keeps. It works without a server, too, but takes and removes none then.
 *
 * @returns the exit code: 0; 1 where nothing was removed, since nobody said yes, or where a snapshot could not be taken; 2 where it was refused
 */
export const runSnapshots = async (
  places: Places,
  name: string | undefined,
  options: SnapshotsOptions,
): Promise<number> => {
  const repository = name === undefined ? undefined : repositoryNamed(name);
  if (repository === null) return refuse(`'${printable(name ?? '')}' is no repository`);
  if (options.take) return take(places, repository ?? null);
  const found = listed(places, repository);
  if (options.remove)
    return repository === undefined ? refuse('name the repository') : remove(places, repository, found, options);
  if (options.json) console.log(JSON.stringify(found));
  else if (repository === undefined) console.log(allText(found, Date.now()));
  else console.log([oneText(repository, found, Date.now()), ...readHint(found)].join('\n'));
  return 0;
};

const refuse = (why: string): number => {
  console.error(`borgserver: ${why}`);
  return 2;
};

/** The newest first. @param repository undefined: of all */
const listed = ({ state }: Places, repository: string | undefined): readonly ListedSnapshot[] => {
  const folder = repository === undefined ? null : snapshotsOf(state, repository);
  const folders = folder === null || repository === undefined ? foldersOfSnapshots(state) : [{ repository, folder }];
  return folders.flatMap(({ repository: path, folder: each }) =>
    listSnapshots(each)
      .map((snapshot, place, all) => describe(path, snapshot, readAbout(snapshot), place === all.length - 1))
      .toReversed(),
  );
};

const describe = (path: string, { number, at }: Snapshot, about: About | null, isNewest: boolean): ListedSnapshot => ({
  ...{ repository: printable(path), number, at, bytes: about?.bytes ?? null, transaction: about?.transaction ?? null },
  ...{ protected: about?.protected ?? null, olderHold: isNewest ? (about?.olderHold ?? null) : null },
});

/** A line for each repository. */
export const allText = (found: readonly ListedSnapshot[], now: number): string => {
  const byRepository = Map.groupBy(found, ({ repository }) => repository);
  if (byRepository.size === 0) return 'There is no snapshot.';
  const rows = [...byRepository].map(([repository, [newest, ...older]]) => [
    repository,
    String(older.length + 1),
    newest ? ago(newest.at, now) : '-',
    newest?.olderHold ? renderBytes(newest.olderHold) : '-',
  ]);
  return renderTable(['REPOSITORY', 'SNAPSHOTS', 'NEWEST', 'OLDER ONES HOLD'], rows);
};

/** A line for each snapshot of one repository. */
export const oneText = (repository: string, found: readonly ListedSnapshot[], now: number): string => {
  if (found.length === 0) return `There is no snapshot of ${printable(repository)}.`;
  const rows = found.map((each) => [
    String(each.number),
    timeText(each.at),
    ago(each.at, now),
    each.bytes === null ? '-' : renderBytes(each.bytes),
    each.transaction === null ? '-' : String(each.transaction),
    each.protected === false ? 'can be changed by its account' : '',
  ]);
  const held = found[0]?.olderHold ?? 0;
  return [
    renderTable(['NUMBER', 'TAKEN', '', 'SIZE', 'TRANSACTION', ''], rows),
    ...(held > 0 ? ['', `The older ones hold ${renderBytes(held)} that the newest one does not.`] : []),
  ].join('\n');
};

const readHint = ([newest]: readonly ListedSnapshot[]): readonly string[] =>
  newest ? [`Read one: borgserver borg list ${quoted(`${newest.repository}@${newest.number}`)}`] : [];

/** @param repository null: all */
const take = async (places: Places, repository: string | null): Promise<number> => {
  const asked = await askServer(places.run, { command: 'keep', repository, when: 'now' });
  if (asked === null) return refuse('no server runs here: it takes snapshots, since it may be taking one');
  if (asked.length === 0)
    return refuse(repository === null ? 'there is no repository' : `${printable(repository)} holds no repository`);
  for (const { repository: path, result } of asked) console.log(`${printable(path)}: ${takenText(result)}`);
  return asked.every(({ result }) => result === 'kept' || (repository === null && result === 'off')) ? 0 : 1;
};

const takenText = (result: Asked['result']): string => {
  if (typeof result === 'object') return `no snapshot could be taken: ${result.why}`;
  return {
    kept: 'its present state is kept',
    off: 'it has no snapshots (its key file or SNAPSHOT_KEEP says no)',
    gone: 'no repository is there',
  }[result];
};

const remove = async (
  places: Places,
  repository: string,
  found: readonly ListedSnapshot[],
  { remove: words = [], yes }: SnapshotsOptions,
): Promise<number> => {
  const which = readChoice(words);
  if (which === null) return refuse("--remove takes numbers, or 'older' (all but the newest), or 'all'");
  const [newest, ...older] = found;
  const going =
    which === 'all' ? found : which === 'older' ? older : found.filter(({ number }) => which.includes(number));
  if (newest === undefined || going.length === 0) return refuse(`${printable(repository)} has no such snapshot`);
  if (!yes) {
    console.log(oneText(repository, going, Date.now()));
    console.error(
      `borgserver: ${plural(going.length, 'snapshot')} would be removed for good; what only they hold cannot be brought back. To do it: add --yes`,
    );
    return 1;
  }
  const reply = await askServer(places.run, { command: 'remove-snapshots', repository, which });
  if (reply === null) return refuse('no server runs here: it removes snapshots, since it may be taking one');
  console.log(`removed ${plural(reply.removed.length, 'snapshot')} of ${printable(repository)}`);
  return reply.removed.length === 0 ? 1 : 0;
};

const readChoice = (words: readonly string[]): number[] | 'older' | 'all' | null => {
  const [first] = words;
  if (words.length === 1 && (first === 'older' || first === 'all')) return first;
  return words.length > 0 && words.every((word) => /^[1-9]\d{0,8}$/.test(word)) ? words.map(Number) : null;
};
