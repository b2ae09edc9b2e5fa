import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BASE_ENVIRONMENT, PROJECT } from './machine.ts';
import { finishedBy, type ProgramOptions, type Running } from './program.ts';

/** Where the workers of a suite find the borg that it has loaded. */
const SOCKET = 'BORGSERVER_LOADED_BORG';

/** What every client's borg finds in its environment and may read while it is loaded. */
export const ENVIRONMENT_OF_BORG = {
  BORG_EXIT_CODES: 'legacy',
  // The self-test is a third of the cost of a short borg command. It tries borg's own ciphers and chunker, and no server.
  BORG_SELFTEST: 'disabled',
};

/** What borg reads when it runs. With another variable a test gets a borg of its own: some are read while borg is loaded. */
const READ_WHEN_IT_RUNS = /^BORG_(BASE_DIR|REPO|RSH|(NEW_)?PASSPHRASE|\w+_ACCESS_IS_OK|\w+_I_KNOW_WHAT_I_AM_DOING)$/;

/** Whether a client's borg may be one that was loaded before. The benchmark loads none: it measures what a client does. */
export const mayBeLoaded = ({ env = {}, input }: ProgramOptions): boolean =>
  process.env[SOCKET] !== undefined &&
  input !== 'pipe' &&
  Object.keys(env).every((name) => READ_WHEN_IT_RUNS.test(name));

/**
 * Vitest's global set-up: loads borg once for the clients of a suite (loaded-borg.py), and names its socket in this process' environment,
 * for the suite's workers.
 *
 * @returns what ends it
 */
export default async (): Promise<() => Promise<void>> => {
  // Another project of the same run has loaded it already, and ends it.
  if (process.env[SOCKET] !== undefined) return async () => {};
  const folder = mkdtempSync(join(tmpdir(), 'borgserver-loaded-'));
  const socket = join(folder, 'socket');
  const script = join(PROJECT, 'test/e2e/harness/loaded-borg.py');
  const child = spawn('/usr/bin/python3', ['-I', script, socket], {
    env: { ...BASE_ENVIRONMENT, ...ENVIRONMENT_OF_BORG },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error('borg could not be loaded for the suite’s clients');
  process.env[SOCKET] = socket;
  return async () => {
    child.stdin.end();
    await once(child, 'exit');
    rmSync(folder, { recursive: true });
  };
};

let count = 0;

/**
 * `run('borg', …)` by the borg that is loaded: the same code, words, environment and folder. It has no PID, cannot be killed, and its
 * standard input cannot be written to later.
 */
export const runLoadedBorg = (
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  { input, cwd = process.cwd(), reject }: ProgramOptions,
): Running => {
  count += 1;
  const id = `${process.pid}-${count}`;
  const begin = (place: number, more = {}): Socket => {
    const socket = connect(process.env[SOCKET] ?? '');
    // A borg that ends before it has read everything is not the test's failure: its exit code tells.
    socket.on('error', () => {});
    socket.write(`${JSON.stringify({ id, place, ...more })}\n`);
    return socket;
  };
  if (input !== undefined) begin(0).end(input);
  const [stdout, stderr] = [begin(1), begin(2)];
  const control = begin(3, { words, env, cwd, input: input !== undefined });
  let told = '';
  control.on('data', (chunk) => {
    told += chunk;
  });
  const code = Promise.all([control, stdout, stderr].map((each) => once(each, 'close'))).then(() => {
    if (!/^\d+\n$/.test(told)) throw new Error(`the loaded borg said no exit code, but '${told}'`);
    return Number(told);
  });
  return Object.assign(finishedBy({ name: `borg ${words.join(' ')}`, stdout, stderr, code, reject }), {
    ...{ pid: undefined, stdin: null, stdout },
    kill: () => {
      throw new Error('this borg cannot be killed: give it an open standard input, then it is a process of its own');
    },
  });
};
