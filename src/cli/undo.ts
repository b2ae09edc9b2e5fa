import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { findRepositoriesOf } from '../borg/find-repositories.ts';
import { readHostId } from '../borg/host-id.ts';
import { findBorg } from '../borg/interpreter.ts';
import { type Identity, readIdentity } from '../borg/repository-identity.ts';
import { readRepositoryState } from '../borg/repository-state.ts';
import { askServer } from '../control/client.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { type Described, describeSnapshot } from '../snapshots/compare.ts';
import type { Source } from '../snapshots/program.ts';
import { clearUndos } from '../snapshots/put-back.ts';
import { listSnapshots, snapshotsOf } from '../snapshots/store.ts';
import { inFolder } from '../system/folder-handle.ts';
import { printable } from '../text/printable.ts';
import { type Kept, keepPresent, putBack, Refused, Unclear, type UndoOptions, type UndoWork } from './put-back.ts';
import { repositoryNamed } from './repository-name.ts';
import { sourceOf } from './source.ts';
import { findTarget, refuseWords } from './undo-target.ts';
import { previewText } from './undo-text.ts';

/**
 * `borgserver undo NAME`: puts a repository back as a snapshot has it, or as it was at a transaction. What is there until then stays, as a snapshot or as a folder.
 *
 * @returns the exit code: 0 done (or --dry-run); 1 nobody said yes; 2 refused; 3 it is not known whether it was done. After 1 and 2 the repository
 *   is as it was before
 * @throws the system's error, before anything is changed
 */
export const runUndo = async (places: Places, name: string, options: UndoOptions): Promise<number> => {
  try {
    return await undo(await prepareWork(places, name, options));
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof Unclear)) throw error;
    console.error(`borgserver: ${error.message}`);
    return error instanceof Refused ? 2 : 3;
  }
};

const prepareWork = async (places: Places, name: string, options: UndoOptions): Promise<UndoWork> => {
  const path = repositoryNamed(name);
  const snapshots = path === null ? null : snapshotsOf(places.state, path);
  if (path === null || snapshots === null) throw new Refused(`'${printable(name)}' is no repository`);
  if (!/^\d{1,6}$/.test(options.lockWait)) throw new Refused('--lock-wait takes seconds');
  refuseWords(options, name);
  // The present state is kept first, and a transaction needs no other one.
  if (options.toTransaction === undefined && listSnapshots(snapshots).length === 0)
    throw new Refused(`${printable(path)} has no snapshot`);
  if ((await askServer(places.run, { command: 'ping' })) === null)
    throw new Refused('no server runs here: it keeps the present state, so that an undo can be undone');
  const source = sourceOf(places, path, requireSettings(process.env).PUID);
  if (typeof source === 'string') throw new Refused(source);
  const { python } = findBorg();
  return { places, source, python, hostId: readHostId(places), snapshots, options };
};

const undo = async (work: UndoWork): Promise<number> => {
  const { places, source, snapshots, options } = work;
  refuseOthersInIt(source);
  for (const left of await clearUndos(work, places.state))
    console.error(`borgserver: left by an undo that was ended; it may be what was there before it: ${left}`);
  const kept = await keepPresent(work);
  const all = listSnapshots(snapshots);
  const present = kept === 'kept' ? (all.at(-1) ?? null) : null;
  const notKept = kept === 'kept' ? null : notKeptText(kept);
  const { target, ...amounts } = await findTarget(work, all, present, notKept);
  const presentDescribed = present && describeSnapshot(present);
  const live = presentDescribed ?? liveIdentity(source);
  console.log(
    previewText(
      {
        ...{ path: source.path, to: target, present: presentDescribed, live, keepKey: options.keepKey },
        ...{ notKept, ...amounts },
      },
      Date.now(),
    ),
  );
  refuseOther(target.described, live, options);
  if (options.dryRun) return 0;
  if (!(await isConfirmed(options))) return 1;
  await putBack(work, target);
  return 0;
};

const notKeptText = (kept: Exclude<Kept, 'kept'>): string => {
  if (typeof kept === 'object') return printable(kept.why, 300);
  return kept === 'off' ? 'its key file or SNAPSHOT_KEEP says no' : 'there is no repository just now';
};

/** The whole folder is exchanged: what else lies in it would go with it. */
const refuseOthersInIt = ({ repos, path }: Source): void => {
  const state = readRepositoryState(join(repos, path));
  const inside = state && 'nested' in state ? state.nested : [];
  if (inside.length > 0)
    throw new Refused(
      `other repositories are in ${printable(path)}, and an undo would take them away: ${printable(inside.slice(0, 3).join(', '), 200)}; put it back by hand (docs/snapshots.md)`,
    );
  const [account = ''] = path.split('/');
  const outer = findRepositoriesOf(repos, account).paths.find((each) => path.startsWith(`${each}/`));
  if (outer !== undefined)
    throw new Refused(
      `${printable(path)} would lie in another repository, ${printable(outer)}: put it back by hand (docs/snapshots.md)`,
    );
};

const liveIdentity = ({ repos, path }: Source): Identity | null => {
  const found = inFolder(join(repos, path), readIdentity);
  return found?.id ? found : null;
};

const refuseOther = (
  to: Described,
  present: Pick<Described, 'id'> | null,
  { otherRepository, keepKey }: UndoOptions,
): void => {
  if (!present || to.id === present.id) return;
  if (keepKey) throw new Refused('the present key is that of another repository: --keep-key does not go with it');
  if (!otherRepository)
    throw new Refused(
      'the present repository is another one: this one was deleted, and a new one made. To put the former one in its place: add --other-repository',
    );
};

const QUESTION = 'Put it back? Sessions of this account are ended. Type yes: ';

const isConfirmed = async ({ yes }: UndoOptions): Promise<boolean> => {
  if (yes) return true;
  if (process.stdin.isTTY && process.stdout.isTTY) {
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    try {
      if ((await terminal.question(QUESTION)).trim() === 'yes') return true;
    } catch {
      // Ctrl-C or Ctrl-D.
    } finally {
      terminal.close();
    }
    console.error('borgserver: nothing was changed');
    return false;
  }
  console.error('borgserver: nothing was changed. To do it: add --yes');
  return false;
};
