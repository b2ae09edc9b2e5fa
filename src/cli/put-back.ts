import { existsSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { SINGLE_USER } from '../accounts/name.ts';
import { borgEnvironment } from '../borg/environment.ts';
import { prepareBaseFolder, runBorg } from '../borg/run.ts';
import { quoted } from '../borg/serve-arguments.ts';
import { askServer } from '../control/client.ts';
import { failureInOneLine } from '../failure.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { readAbout } from '../snapshots/about.ts';
import type { Asked } from '../snapshots/kept-states.ts';
import type { Source } from '../snapshots/program.ts';
import {
  type Exchanged,
  exchange,
  folderForUndo,
  isNotBegun,
  isUnused,
  preparePutBack,
  removeTree,
  setAside,
  treeOf,
} from '../snapshots/put-back.ts';
import { readState } from '../snapshots/repository-state.ts';
import { listSnapshots, type Snapshot } from '../snapshots/store.ts';
import { type Target, targetName } from '../snapshots/target.ts';
import { errorCode } from '../system/errno.ts';
import { printable } from '../text/printable.ts';
import { boxWords, findLauncher } from './launcher.ts';
import { doneText } from './undo-text.ts';

export type UndoOptions = {
  /** The number of a snapshot, or a time: the last one until then. */
  readonly to?: string;
  /** The number of a transaction. */
  readonly toTransaction?: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly keepKey: boolean;
  readonly otherRepository: boolean;
  readonly check: boolean;
  /** Seconds. */
  readonly lockWait: string;
};

/** What `borgserver undo` cannot do: in words, with the cure. Nothing was changed. */
export class Refused extends Error {}

/** Nobody knows whether it was done. In words, with where the other state is. */
export class Unclear extends Error {}

/** What an undo needs to know, once it is known. */
export type UndoWork = {
  readonly places: Places;
  readonly source: Source;
  readonly python: string;
  readonly hostId: string;
  /** The folder of the snapshots. */
  readonly snapshots: string;
  readonly options: UndoOptions;
};

export type Kept = Asked['result'];

/** Only what became of this very repository counts: its account may have others below its folder. */
export const keepPresent = async ({ places, source: { path } }: UndoWork): Promise<Kept> => {
  const asked = await askServer(places.run, { command: 'keep', repository: path, when: 'now' });
  if (asked === null) throw unchanged('no server runs here any more');
  return asked.find(({ repository }) => repository === path)?.result ?? 'gone';
};

/**
 * Puts it back.
 *
 * @throws Refused: nothing was changed; Unclear
 */
export const putBack = async (work: UndoWork, to: Target): Promise<void> => {
  const { places, source, options, snapshots } = work;
  const above = folderForUndo(places.state, source.path);
  let kept: Snapshot | null = null;
  try {
    const prepared = await preparePutBack(work, to.snapshot, above, source, to.transaction ?? 'undo');
    if ('code' in prepared) throw unchanged(prepared.why);
    const { segments } = to.described;
    if (segments !== null && prepared.segments !== segments)
      throw unchanged(`${targetName(to)} has ${prepared.segments} of its ${segments} segments`);
    if (options.check) await check(work, above, to);
    await askServer(places.run, { command: 'end-sessions', selector: source.path.split('/')[0] ?? '' });
    const how = { above, snapshots, wait: Number(options.lockWait), keepKey: options.keepKey };
    const done = await exchange(work, source, how, async () => {
      kept = (await keepPresent(work)) === 'kept' ? (listSnapshots(snapshots).at(-1) ?? null) : null;
      // What now follows takes less than a second, and half of it would be worse than either.
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
      return true;
    });
    if (!('code' in done)) return await finish(work, { above, to, kept, done });
    if (!isNotBegun(above)) throw new Unclear(unclearText(done.why, above));
    throw unchanged(`${printable(source.path)}: ${done.why}${lockedHint(done.code, source.path)}`);
  } finally {
    if (isUnused(above)) await removeTree(work, above, 'unused');
  }
};

const unchanged = (why: string): Refused => new Refused(`nothing was changed: ${why}`);

const unclearText = (why: string, above: string): string =>
  `it was ended in the middle (${why}). The repository is the former one or the new one, whole, and the other is in ${treeOf(above)}`;

const lockedHint = (code: string, path: string): string =>
  code === 'locked' ? `. If nobody does: borgserver borg break-lock ${quoted(path)}` : '';

/** borg looks at every byte of what is about to take the repository's place. */
const check = async (work: UndoWork, above: string, to: Target): Promise<void> => {
  const { places, source, hostId } = work;
  const { uid, gid } = source;
  console.error(`borgserver: looks at every byte of ${targetName(to)} (--no-check leaves that out)`);
  const { BOX } = requireSettings(process.env);
  const launcher = findLauncher(places);
  const base = prepareBaseFolder(places.state, uid, gid);
  const user = source.path.split('/')[0] ?? SINGLE_USER;
  const env = { ...borgEnvironment(process.env, { base, user, hostId, repository: null }), ...launcher.extra };
  const place = { root: above, repository: treeOf(above), base, reach: 'repository' as const, box: BOX };
  const words = ['check', '--repository-only', treeOf(above)];
  const ended = await runBorg({ command: launcher.command(boxWords(place)), words, uid, gid, env });
  if (ended.interrupted) throw unchanged('it was asked to end');
  // borg's own code for what it has found, as against what it could not do.
  if (ended.exitCode === 1)
    throw unchanged(`borg finds ${targetName(to)} damaged; take another one, or add --no-check and repair it then`);
  if (ended.exitCode !== 0) throw unchanged(`borg could not look at ${targetName(to)}; its lines above say why`);
  // It has made the index anew, of the last state that it takes for committed.
  if (to.transaction !== null && !existsSync(join(treeOf(above), `index.${to.transaction}`)))
    throw unchanged(`borg does not take ${targetName(to)} for one; take another one`);
};

type Done = { above: string; to: Target; kept: Snapshot | null; done: Exchanged };

/** The repository is the new one. Whatever fails from here on changes nothing about that. */
const finish = async (work: UndoWork, { above, to, kept, done }: Done): Promise<void> => {
  const { places, source, options } = work;
  const warn = (what: string, why: string): void => console.error(`borgserver: ${what}: ${printable(why, 300)}`);
  const trying = async <T>(what: string, otherwise: T, step: () => Promise<T> | T): Promise<T> => {
    try {
      return await step();
    } catch (error) {
      warn(what, failureInOneLine(error));
      return otherwise;
    }
  };
  if (done.unsure !== undefined) warn('the disk did not confirm the change', done.unsure);
  const former = await trying(above, null, () => (kept && isStateOf(kept, above) ? kept.number : null));
  const isGone = await trying(above, false, () => removeIfKept(work, above, former));
  const folder = isGone ? null : await trying(above, above, () => setAside(above));
  await trying("the cache of the server's own borg", null, () => forgetNewer(work, to.described.id));
  await trying('the server was not told', null, () =>
    askServer(places.run, {
      ...{ command: 'put-back', repository: source.path, former },
      ...{ number: to.snapshot.number, transaction: to.transaction },
    }),
  );
  console.log(
    doneText(source.path, to, { former, folder: folder && treeOf(folder), isChecked: options.check }, Date.now()),
  );
};

/** Whether the snapshot has what was there until now. */
const isStateOf = (snapshot: Snapshot, above: string): boolean => {
  const state = readState(dirname(above), `${basename(above)}/tree`);
  return state !== null && readAbout(snapshot)?.state === state;
};

/** Resolves with whether nothing is left. */
const removeIfKept = async (work: UndoWork, above: string, former: number | null): Promise<boolean> =>
  // Of a repository that was deleted its empty folder is left, and of one whose folder was gone nothing.
  former !== null || wasEmpty(treeOf(above)) ? removeTree(work, above, 'all') : false;

const wasEmpty = (folder: string): boolean => {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return errorCode(error) === 'ENOENT';
  }
};

/** The server's own borg may have seen the newer state, too. As the account: the folder is its own. */
const forgetNewer = async ({ places, source: { uid, gid } }: UndoWork, id: string | null): Promise<void> => {
  if (id === null) return;
  const base = prepareBaseFolder(places.state, uid, gid);
  const seen = [join(base, '.cache/borg', id), join(base, '.config/borg/security', id, 'manifest-timestamp')];
  await execa('rm', ['-rf', '--', ...seen], { uid, gid, cwd: '/', stdin: 'ignore' });
};
