import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { TEST_PATIENCE_MS } from './patience.ts';

/** How a program ended. `exitCode` is 128 + the signal's number if a signal ended it, as a shell says it. */
export type Finished = {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
};

export type ProgramOptions = {
  /** Variables added to `base`; undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** What the program reads from standard input. `'pipe'` leaves `stdin` open: the test writes to it and ends it. Default: nothing. */
  readonly input?: string | Uint8Array | 'pipe';
  /** Whether a non-zero exit code throws (default). With `false` the test looks at `exitCode` itself. */
  readonly reject?: boolean;
};

/** A program that runs. Await it to hear how it ended. Meanwhile it can be written to and signalled. */
export type Running = Promise<Finished> & {
  readonly pid: number | undefined;
  readonly stdin: Writable | null;
  /** What it writes, as it comes. */
  readonly stdout: Readable | null;
  kill(signal?: NodeJS.Signals): void;
};

/** When the log tells of a program that still runs: shortly before the time of a test is over. */
const TOLD_MS = 0.9 * TEST_PATIENCE_MS;

/**
 * Runs a real program without a shell.
 *
 * @param base its environment, before `options.env`
 * @throws Error with the program's standard error in the message, if it ends with anything but 0 and `reject` is not false;
 *   its cause is the `Finished`
 */
export const run = (
  file: string,
  words: readonly string[],
  base: Readonly<Record<string, string | undefined>>,
  options: ProgramOptions = {},
): Running => {
  const env = Object.fromEntries(
    Object.entries({ ...base, ...options.env }).filter(([, value]) => value !== undefined),
  );
  const child = spawn(file, words, {
    env,
    cwd: options.cwd,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const code = new Promise<number>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit, signal) => resolve(exit ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
  const finished = finishedBy({
    ...{ name: `${file} ${words.join(' ')}`, stdout: child.stdout, stderr: child.stderr, code },
    reject: options.reject,
  });
  if (child.stdin) {
    // A program that ends before it has read everything is not the test's failure: its exit code tells.
    child.stdin.on('error', () => {});
    if (options.input !== undefined && options.input !== 'pipe') child.stdin.end(options.input);
  }
  return Object.assign(finished, {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout,
    kill: (signal: NodeJS.Signals = 'SIGTERM') => void child.kill(signal),
  });
};

/** What a running program has to be asked for. */
type Ending = {
  readonly name: string;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Resolves once nothing more comes from both. */
  readonly code: Promise<number>;
  readonly reject: boolean | undefined;
};

/** What a program wrote, and how it ended; see `run`. */
export const finishedBy = ({ name, stdout, stderr, code, reject }: Ending): Promise<Finished> => {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const said = (): Omit<Finished, 'exitCode'> => ({
    stdout: Buffer.concat(out).toString(),
    stderr: Buffer.concat(err).toString(),
  });
  const endOfIt = (): string => `${said().stdout.slice(-2000)}${said().stderr.slice(-4000)}`;
  // A test that waits for it would only say that its time is over.
  const late = setTimeout(() => {
    console.error(`${name} still runs after ${TOLD_MS / 1000} s; it has said: ${endOfIt()}`);
  }, TOLD_MS).unref();
  const finished = code
    .finally(() => clearTimeout(late))
    .then((exitCode) => {
      const result: Finished = { ...said(), exitCode };
      if (exitCode === 0 || reject === false) return result;
      throw new Error(`${name} ended with ${exitCode}: ${endOfIt()}`, { cause: result });
    });
  // A test may await this later. An unhandled rejection must not end the test before.
  finished.catch(() => {});
  return finished;
};
