import { Socket } from 'node:net';
import { readLines } from '../sshd/server.ts';
import { spawnSafely } from '../system/spawn.ts';
import { type HostLine, parseHostLine } from './host-line.ts';
import type { ProcessId } from './process.ts';
import { readProcess } from './processes.ts';

/** How to start a session host. */
export type HostProgram = {
  readonly python: string;
  /** image/session-host as it was installed, and its argument. */
  readonly program: readonly string[];
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string>>;
};

/** One session host that runs. */
export type HostProcess = {
  /** Null where it could not be started. */
  readonly process: ProcessId | null;
  /** Whether it serves. It does not where it has ended before, or has taken too long and was killed. */
  readonly ready: Promise<boolean>;
  /** Resolves when it has ended, with words that say how. */
  readonly ended: Promise<string>;
  /** Says one line to it. */
  readonly say: (line: string) => void;
  /** Whether it answers in so many milliseconds. */
  readonly answers: (milliseconds: number) => Promise<boolean>;
  /** It lets nobody in any more, and ends with its last session. Nobody waits for it. */
  readonly retire: () => void;
  /** Ends it at once. Its sessions go on. */
  readonly kill: () => void;
};

/**
 * Starts a session host.
 *
 * @param startMs how long its start may take
 * @param onLine gets what it says, except that it is ready or alive; null for a line that cannot be read
 */
export const startHostProcess = (
  { python, program, environment }: HostProgram,
  startMs: number,
  onLine: (line: HostLine | null) => void,
): HostProcess => {
  const { child, stdin, stdout } = spawnSafely(python, ['-I', ...program], {
    ...{ stdio: ['pipe', 'pipe', 'inherit'], env: environment, cwd: '/' },
    // A process group of its own: only the daemon answers Ctrl-C in its terminal.
    detached: true,
  });
  stdin.on('error', () => {});
  const ready = Promise.withResolvers<boolean>();
  const ended = Promise.withResolvers<string>();
  let pong = (): void => {};
  const over = (how: string): void => {
    clearTimeout(late);
    ready.resolve(false);
    ended.resolve(how);
    pong();
  };
  const late = setTimeout(() => {
    child.kill('SIGKILL');
    ready.resolve(false);
  }, startMs);
  child.once('error', (error) => over(error.message));
  child.once('exit', (code, signal) => over(`it ended with ${signal ?? code}`));
  void readLines(stdout, (text) => {
    const line = parseHostLine(text);
    if (line?.event === 'pong') return pong();
    if (line?.event !== 'ready') return onLine(line);
    clearTimeout(late);
    ready.resolve(true);
  });
  return {
    process: idOfChild(child.pid),
    ...{ ready: ready.promise, ended: ended.promise },
    say: (line) => stdin.write(`${line}\n`),
    answers: (milliseconds) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve(false), milliseconds);
        pong = () => {
          clearTimeout(timer);
          resolve(true);
        };
        stdin.write('ping\n');
      }),
    retire: () => {
      stdin.end();
      child.unref();
      if (stdout instanceof Socket) stdout.unref();
    },
    kill: () => child.kill('SIGKILL'),
  };
};

const idOfChild = (pid: number | undefined): ProcessId | null => {
  try {
    const found = pid === undefined ? null : readProcess(pid);
    return found && { pid: found.pid, start: found.start };
  } catch {
    // For example, the table of files is full. The host goes on without an id.
    return null;
  }
};
