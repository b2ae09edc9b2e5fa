import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { SINGLE_USER } from '../accounts/name.ts';
import { borgEnvironment } from '../borg/environment.ts';
import { worseExitCode } from '../borg/exit-code.ts';
import { type FoundRepositories, findRepositories } from '../borg/find-repositories.ts';
import { findOddEntry } from '../borg/odd-entry.ts';
import { parsePassthrough, type Wording, wordsFor } from '../borg/passthrough.ts';
import { reachOf } from '../borg/reach.ts';
import { READS } from '../borg/reads.ts';
import { ASKING, type BorgEnd, prepareBaseFolder, runBorg } from '../borg/run.ts';
import { findTarget } from '../borg/target.ts';
import { failure, failureInLines } from '../failure.ts';
import type { Places } from '../places.ts';
import { requireSettings } from '../settings.ts';
import { printable } from '../text/printable.ts';
import { appendOnlyHint } from './append-only-hint.ts';
import { answerAlone, askingFor, keepAlone, keepBefore, tellChanged } from './keep-before.ts';
import { boxWords, findLauncher } from './launcher.ts';
import { runOnSnapshot, snapshotMeant } from './read-snapshot.ts';
import { createRunOnAllText } from './run-on-all-text.ts';
import { requireRepositories, withRepositories } from './with-repositories.ts';

/** borg's own code for an error. */
const ERROR = 2;

/** The user that borg runs as where no repository is meant. It has nothing to write then. */
const HOMELESS = '/nonexistent';

/**
 * Runs a borg command that was typed at the server, on one repository or on all in turn, each time as the folder's owner and
 * never as root. If it is refused, standard error says why.
 *
 * @param words borg's words, without `borg` itself
 * @returns borg's exit code, the worst of several; 2 where the command was refused
 * @throws what the machine cannot do, with `cause`; Error with cause `{ code: 'lease-held', path, remedy }` beside a server
 *   of another container
 */
export const runBorgCommand = async (words: readonly string[], places: Places): Promise<number> => {
  const request = parsePassthrough(words, places.repos, process.env.BORG_REPO);
  switch (request.kind) {
    case 'refused':
      console.error(`borgserver: ${request.message}`);
      return ERROR;
    case 'no-repository': {
      const { PUID: uid, PGID: gid } = requireSettings(process.env);
      const env = borgEnvironment(process.env, { base: HOMELESS, user: SINGLE_USER, hostId: null, repository: null });
      const { command, extra } = findLauncher(places);
      return (await runBorg({ command: command([]), words, uid, gid, env: { ...env, ...extra } })).exitCode;
    }
    case 'repository': {
      const { command, meant } = request;
      const wording: Wording = (folder) => ({
        words: wordsFor(words, request, folder),
        repository: request.at === null ? folder : null,
      });
      const then = snapshotMeant(places, meant);
      if (then) return runOnSnapshot(places, { command, words, wording }, then);
      const job = { command, meant: meant === 'all' ? null : meant.path, wording, maintenance: false };
      return withBorg(places, job, async (runOn) => {
        if (meant === 'all') return runOnAll(findRepositories(places.repos), words, runOn);
        return (await runOn(meant.path)).exitCode;
      });
    }
  }
};

export type BorgJob = {
  readonly command: string;
  /** The one repository that is meant, checked before anything else is done. Null for several. */
  readonly meant: string | null;
  readonly wording: Wording;
  /** Then borg has no quota during this run, and tries often whether the lock is free. */
  readonly maintenance: boolean;
};

/**
 * Lets `use` run borg on repositories of this server, by their paths below /repos: each time as the folder's owner, and with the
 * right to this server's host id meanwhile.
 *
 * @throws what runBorgCommand throws
 */
export const withBorg = async (
  places: Places,
  { command, meant, wording, maintenance }: BorgJob,
  use: (runOn: (path: string) => Promise<BorgEnd>) => Promise<number>,
): Promise<number> => {
  requireRepositories(places);
  const { PUID, PGID, IDENTITIES, STUCK_AFTER, BOX } = requireSettings(process.env);
  const as = IDENTITIES === 'shared' ? { uid: PUID, gid: PGID } : undefined;
  if (meant !== null) findTarget(places.repos, meant, command, as);
  const launcher = findLauncher(places);
  return withRepositories(places, (hostId, isAlone) =>
    use(async (path) => {
      const { uid, gid, path: folder } = findTarget(places.repos, path, command, as);
      refuseOddEntry(folder);
      const hint = appendOnlyHint(places.repos, path, command);
      if (hint !== null) console.error(`borgserver: ${printable(path)}: ${hint}`);
      const base = prepareBaseFolder(places.state, uid, gid);
      const { words, repository } = wording(folder);
      const user = path.split('/')[0] ?? SINGLE_USER;
      const env = { ...borgEnvironment(process.env, { base, user, hostId, repository }), ...launcher.extra };
      // One repository is the operator's own affair, even if a program of theirs works on it for hours.
      const stuckAfter = meant === null && command !== 'with-lock' ? STUCK_AFTER * 1000 : undefined;
      // No link leads to the folder: findTarget has looked, and the launcher looks again.
      const root = realpathSync(places.repos);
      const changes = !READS.has(command) && command !== 'break-lock';
      if (changes) await (isAlone ? keepAlone(places, hostId, path) : keepBefore(places, path));
      const place = { root, repository: join(root, path), base, reach: reachOf(command, words, env), box: BOX };
      const before = [
        ...(maintenance ? ['--maintenance'] : []),
        ...boxWords(place),
        ...(changes ? ['--ask', String(ASKING)] : []),
      ];
      const what = `${maintenance ? 'maintenance' : 'borg'} ${command}${words.includes('--repair') ? ' --repair' : ''}`;
      const asking = askingFor(places, path, what);
      const answer = isAlone ? (question: string) => answerAlone(places, path, question) : asking.answer;
      const ended = await runBorg({
        command: launcher.command(before),
        words,
        uid,
        gid,
        env,
        stuckAfter,
        ...(changes && { answer }),
      });
      // After that, the older ones alone hold what is not needed any more.
      if (changes && !isAlone)
        await tellChanged(places, path, asking.isTold() ? undefined : what, maintenance ? 'now' : 'changed');
      return ended;
    }),
  );
};

/** borg would wait until somebody writes to a pipe, and with `all` every repository after it would wait too. */
const refuseOddEntry = (folder: string): void => {
  const odd = findOddEntry(folder, true);
  if (!odd) return;
  throw failure(`left out: ${odd.kind} is in it, for which borg would wait without end`, {
    code: 'odd-entry',
    path: `${folder}/${odd.path}`,
    remedy: 'see who made it, and remove it',
  });
};

const runOnAll = async (
  { paths, leftOut }: FoundRepositories,
  words: readonly string[],
  runOn: (path: string) => Promise<BorgEnd>,
): Promise<number> => {
  if (paths.length === 0) console.error('borgserver: there are no repositories yet');
  // Programs that read JSON from standard output must find nothing else there.
  const json = words.some((word) => word.startsWith('--json'));
  const tell = createRunOnAllText(json ? process.stderr : process.stdout, process.env, paths.length);
  let worst = leftOut.length > 0 ? ERROR : 0;
  for (const name of leftOut)
    console.error(
      `borgserver: ${printable(name)}: not all of it was looked through for repositories; it holds too much`,
    );
  for (const [index, path] of paths.entries()) {
    tell.begin(index, path);
    try {
      const { exitCode, interrupted, stuck } = await runOn(path);
      if (stuck)
        console.error(`borgserver: ${printable(path)}: borg stood still for too long (STUCK_AFTER), and was ended`);
      worst = worseExitCode(worst, exitCode);
      tell.ended(path, exitCode);
      if (interrupted) {
        if (index + 1 < paths.length) worst = worseExitCode(worst, ERROR);
        break;
      }
    } catch (error) {
      console.error(`borgserver: ${failureInLines(error)}`);
      worst = worseExitCode(worst, ERROR);
      tell.ended(path, ERROR);
    }
  }
  tell.done();
  return worst;
};
