import { lstatSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { SINGLE_USER } from '../accounts/name.ts';
import { borgEnvironment } from '../borg/environment.ts';
import { findBorg } from '../borg/interpreter.ts';
import type { Meant, Then, Wording } from '../borg/passthrough.ts';
import { reachOf } from '../borg/reach.ts';
import { READS } from '../borg/reads.ts';
import { prepareBaseFolder, runBorg } from '../borg/run.ts';
import { quoted } from '../borg/serve-arguments.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { NAMED_BY, snapshotNamed } from '../snapshots/named.ts';
import type { Source } from '../snapshots/program.ts';
import { clearReadings, openReading, type Reading } from '../snapshots/reading.ts';
import { listSnapshots, type Snapshot, snapshotsOf } from '../snapshots/store.ts';
import { ago, timeText } from '../text/duration.ts';
import { printable } from '../text/printable.ts';
import { boxWords, findLauncher } from './launcher.ts';
import { sourceOf } from './source.ts';
import { requireRepositories, withRepositories } from './with-repositories.ts';

/** borg's own code for an error. */
const ERROR = 2;

/** The snapshot that is meant. Null where a repository is: one of this very name, or no @ is in it. */
export const snapshotMeant = ({ repos, state }: Places, meant: Meant): Then | null => {
  if (meant === 'all' || !meant.then) return null;
  if (!lstatSync(join(repos, meant.path), { throwIfNoEntry: false })) return meant.then;
  // Who may make several repositories may choose such a name.
  if (snapshotsIn(state, meant.then.path).length > 0)
    console.error(
      `borgserver: ${printable(meant.path)} is a repository of this name, and no snapshot of ${printable(meant.then.path)}`,
    );
  return null;
};

type Command = { readonly command: string; readonly words: readonly string[]; readonly wording: Wording };

/**
 * Runs a borg command that only reads, on a repository as a snapshot has it: on a tree of its own, which is removed afterwards. It is refused, and
 * standard error says why, where borg would change something or there is no such snapshot.
 *
 * @returns borg's exit code; 2 where it was refused; 128 + N where signal N came before borg began
 * @throws what runBorgCommand throws
 */
export const runOnSnapshot = async (places: Places, command: Command, { path, name }: Then): Promise<number> => {
  requireRepositories(places);
  const chosen = READS.has(command.command) ? choose(places, path, name) : writesText(command.command, path, name);
  if (typeof chosen === 'string') return refuse(chosen);
  const source = sourceOf(places, path, requireSettings(process.env).PUID);
  if (typeof source === 'string') return refuse(source);
  return withRepositories(places, (hostId) => readIt({ places, command, source, hostId }, chosen));
};

const refuse = (why: string): number => {
  console.error(`borgserver: ${why}`);
  return ERROR;
};

const writesText = (command: string, path: string, name: string): string =>
  `borg ${command} is not done to a snapshot: nothing changes it. To put the repository back as it was: borgserver undo ${quoted(path)} --to ${quoted(name)}`;

const choose = ({ state }: Places, path: string, name: string): Snapshot | string => {
  const all = snapshotsIn(state, path);
  if (all.length === 0) return `${printable(path)} has no snapshot`;
  const found = snapshotNamed(all, name);
  const shown = `\`borgserver snapshots ${quoted(path)}\` lists them`;
  if (found === 'misread') return `after the @ of a repository comes ${NAMED_BY}; ${shown}`;
  return found ?? `${printable(path)} has no such snapshot; ${shown}`;
};

const snapshotsIn = (state: string, path: string): readonly Snapshot[] => {
  const folder = snapshotsOf(state, path);
  return folder === null ? [] : listSnapshots(folder);
};

type Work = {
  readonly places: Places;
  readonly command: Command;
  readonly source: Source;
  readonly hostId: string;
};

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** From the first to the last step no signal ends this process: each is seen once what was made can be removed. */
const readIt = async (work: Work, snapshot: Snapshot): Promise<number> => {
  const { places, source } = work;
  const asked: NodeJS.Signals[] = [];
  const hear = (signal: NodeJS.Signals): void => void asked.push(signal);
  for (const signal of SIGNALS) process.on(signal, hear);
  try {
    const means = { python: findBorg().python };
    for (const left of await clearReadings(means, places.state)) console.error(`borgserver: ${leftText(left)}`);
    const reading = await openReading(means, realpathSync(places.state), snapshot, source);
    const which = `snapshot ${snapshot.number} of ${printable(source.path)}`;
    if ('code' in reading) return refuse(`${which} could not be opened: ${reading.why}`);
    try {
      const [signal] = asked;
      if (signal !== undefined) return 128 + constants.signals[signal];
      console.error(`borgserver: ${which}: ${timeText(snapshot.at)}, ${ago(snapshot.at, Date.now())}`);
      return await runIn(work, reading);
    } finally {
      if (!(await reading.close())) console.error(`borgserver: ${leftText(reading.above)}`);
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, hear);
  }
};

const leftText = (above: string): string =>
  `what was made to read a snapshot could not be removed; the next such command tries it again: ${printable(above, 300)}`;

const runIn = async ({ places, command, source, hostId }: Work, reading: Reading): Promise<number> => {
  const { PUID, PGID, IDENTITIES, BOX } = requireSettings(process.env);
  const { uid, gid } = IDENTITIES === 'shared' ? { uid: PUID, gid: PGID } : source;
  const launcher = findLauncher(places);
  const base = prepareBaseFolder(places.state, uid, gid);
  const { words, repository } = command.wording(reading.repository);
  const user = source.path.split('/')[0] ?? SINGLE_USER;
  const { remembered } = reading;
  const place = { base, user, hostId, repository, remembered };
  const env = { ...borgEnvironment(process.env, place), ...launcher.extra };
  const reach = reachOf(command.command, words, env);
  const box = { root: realpathSync(places.repos), repository: reading.above, base, reach, box: BOX };
  return (await runBorg({ command: launcher.command(boxWords(box)), words, uid, gid, env })).exitCode;
};
