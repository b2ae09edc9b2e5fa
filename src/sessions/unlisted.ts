import { setTimeout as pause } from 'node:timers/promises';
import { PERL } from '../system/perl.ts';
import { spawnSafely } from '../system/spawn.ts';
import { idOf } from './process.ts';
import { listProcesses } from './processes.ts';

/** Processes that have ended count until somebody reaps them. That takes an instant, and longer on a busy machine. */
const PATIENCE_MS = 2000;
const POLL_MS = 20;
/** What is in as many lists in a row lasts, and each list shows it. */
const LASTING = 5;
/** The limit for perl. */
const MOST_MS = 1000;
/** ESRCH of errno(3). */
const NO_SUCH_PROCESS = 3;

const asked = new Map<number, Promise<boolean>>();

/**
 * Whether a process of this user id runs that no list of processes shows, since it forks and ends again and again. Many connections may end at once,
 * with one user id. They share an answer: what began before a question is still there, and without a process of the user id none can begin.
 *
 * @returns false also where this cannot be told: another process of the user id lasts, as one that runs or that nobody reaps, or there is no perl
 */
export const hasUnlisted = (uid: number): Promise<boolean> => {
  const answer = asked.get(uid) ?? look(uid).finally(() => asked.delete(uid));
  asked.set(uid, answer);
  return answer;
};

const look = async (uid: number): Promise<boolean> => {
  const end = performance.now() + PATIENCE_MS;
  let lasting: Set<string> | null = null;
  for (let looks = 0; await hasAny(uid); looks += 1) {
    if (lasting !== null && looks >= LASTING && lasting.size > 0) return false;
    if (performance.now() >= end) return true;
    await pause(POLL_MS);
    // A list costs more than all else. Mostly the first answer is the last one, and there is none.
    const found = ofUid(uid);
    lasting = lasting === null ? found : lasting.intersection(found);
  }
  return false;
};

const ofUid = (uid: number): Set<string> =>
  new Set(
    listProcesses()
      .filter((each) => each.uid === uid)
      .map(idOf),
  );

/**
 * Whether the user id has any process. The kernel answers in one step: it goes through all processes, also those that begin meanwhile
 * (getpriority(2), PRIO_USER). Node asks it for one process only, so perl asks.
 */
const hasAny = (uid: number): Promise<boolean> =>
  new Promise((resolve) => {
    const { child } = spawnSafely(PERL, ['-e', '$! = 0; getpriority(2, $ARGV[0]); exit $! + 0', String(uid)], {
      ...{ cwd: '/', env: {}, stdio: 'ignore', timeout: MOST_MS, killSignal: 'SIGKILL' },
    });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code !== null && code !== NO_SUCH_PROCESS));
  });
