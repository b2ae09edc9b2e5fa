import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';

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
  const finished = new Promise<Finished>((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const result: Finished = {
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
        exitCode: code ?? 128 + (signal === null ? 0 : constants.signals[signal]),
      };
      if (result.exitCode === 0 || options.reject === false) resolve(result);
      else {
        const said = `${result.stdout.slice(-2000)}${result.stderr.slice(-4000)}`;
        reject(new Error(`${file} ${words.join(' ')} ended with ${result.exitCode}: ${said}`, { cause: result }));
      }
    });
  });
  if (child.stdin) {
    // A program that ends before it has read everything is not the test's failure: its exit code tells.
    child.stdin.on('error', () => {});
    if (options.input !== undefined && options.input !== 'pipe') child.stdin.end(options.input);
  }
  // A test may await this later. An unhandled rejection must not end the test before.
  finished.catch(() => {});
  return Object.assign(finished, {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout,
    kill: (signal: NodeJS.Signals = 'SIGTERM') => void child.kill(signal),
  });
};
