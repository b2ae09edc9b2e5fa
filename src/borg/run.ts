import { once } from 'node:events';
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { failure } from '../failure.ts';
import { whereOwnersAreKept } from '../host/ownerless.ts';
import { answerLines } from '../system/answer-lines.ts';
import { spawnSafely } from '../system/spawn.ts';
import { watchForStandstill } from './standstill.ts';

export type BorgEnd = {
  readonly exitCode: number;
  readonly interrupted: boolean;
  /** It was ended because it stood still. */
  readonly stuck: boolean;
};

export type BorgRun = {
  /** The program and the words before borg's own. */
  readonly command: readonly [string, ...string[]];
  readonly words: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly env: Readonly<Record<string, string>>;
  /** Answers what it asks on its fourth descriptor (image/launcher/keeping.py). Left out: it has only the standard streams. */
  readonly answer?: ((question: string, signal: AbortSignal) => Promise<string>) | undefined;
  /** Milliseconds for which it may stand still before it is ended. Left out: without end. */
  readonly stuckAfter?: number | undefined;
};

/** The descriptor on which borg asks: the first one behind the standard streams. */
export const ASKING = 3;

/** Time for borg to end by itself and to remove its lock. */
const TERM_GRACE_MS = 20_000;

const FORWARDED = ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGINT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Runs borg as a user who is not root, without supplementary groups, on the standard streams of this process. Hands signals on.
 * Files get modes for their group, too, like those that `borg serve` writes.
 *
 * @returns borg's exit code, or 128 + N when signal N ended it; and whether this process was asked to end meanwhile, or borg
 *   stood still: borg's classic exit codes do not say that
 * @throws the system's error where it cannot be started
 */
export const runBorg = async (run: BorgRun): Promise<BorgEnd> => {
  const { words, uid, gid, env, answer, stuckAfter = Infinity } = run;
  const [file, ...before] = run.command;
  // libuv drops the supplementary groups when it changes the uid. '/' can be entered by everybody.
  const { child: borg } = spawnSafely(file, [...before, '--umask', '0007', ...words], {
    ...{ uid, gid, env, cwd: '/', stdio: ['inherit', 'inherit', 'inherit', ...(answer ? (['pipe'] as const) : [])] },
  });
  // Without a descriptor left, Node's child has no list of them.
  const asking = answer && borg.stdio?.[ASKING];
  const over = new AbortController();
  if (answer && asking instanceof Duplex) answerLines(asking, (question) => answer(question, over.signal));
  let interrupted = false;
  const forward = (signal: NodeJS.Signals): void => {
    if (!signal.startsWith('SIGUSR')) interrupted = true;
    // A terminal has already sent its Ctrl-C and Ctrl-\ to borg. A second one would interrupt borg's cleaning up.
    if ((signal === 'SIGINT' || signal === 'SIGQUIT') && process.stdin.isTTY) return;
    borg.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  let stuck = false;
  let killing: NodeJS.Timeout | undefined;
  const end = (): void => {
    stuck = true;
    borg.kill('SIGTERM');
    killing = setTimeout(() => borg.kill('SIGKILL'), TERM_GRACE_MS);
  };
  const unwatch = borg.pid === undefined ? () => {} : watchForStandstill(borg.pid, stuckAfter, end);
  try {
    const [code, signal]: [number | null, NodeJS.Signals | null] = await once(borg, 'exit').then(([code, signal]) => [
      code,
      signal,
    ]);
    return { exitCode: code ?? 128 + (signal ? constants.signals[signal] : 0), interrupted, stuck };
  } finally {
    unwatch();
    // What it asked last nobody waits for.
    over.abort();
    clearTimeout(killing);
    for (const signal of FORWARDED) process.off(signal, forward);
  }
};

/**
 * The folder in which borg keeps cache, security information and key files when it runs on the server as this uid. It is made if
 * missing, and closed to everybody else.
 *
 * @throws the system's error; Error with cause `{ code: 'bad-state-folder', path }`
 */
export const prepareBaseFolder = (state: string, uid: number, gid: number): string => {
  const all = join(state, 'borg');
  makeFolder(all, 0, 0, 0o711);
  const base = join(all, String(uid));
  makeFolder(base, uid, gid, 0o700);
  return base;
};

/** Only root can make or replace an entry of the folders above. So nobody can put a link there between look and change. */
const makeFolder = (path: string, uid: number, gid: number, mode: number): void => {
  mkdirSync(path, { recursive: true, mode });
  const found = lstatSync(path);
  if (!found.isDirectory()) {
    throw failure('a place of the server state is not a folder: move it away', { code: 'bad-state-folder', path });
  }
  if (found.uid !== uid || found.gid !== gid) whereOwnersAreKept(() => chownSync(path, uid, gid));
  if ((found.mode & 0o7777) !== mode) whereOwnersAreKept(() => chmodSync(path, mode));
};
